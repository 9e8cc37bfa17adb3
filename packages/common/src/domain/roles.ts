/** Who may do what: three roles, each with all that the one before it may, given for every pool or for some. */

export const ROLES = ['viewer', 'operator', 'admin'] as const;
/** `viewer` reads; `operator` commands, drains and cordons; `admin` makes and revokes tokens, and reads the audit log. */
export type Role = (typeof ROLES)[number];

/** Stands for every pool, also those that are yet to come. No pool can have this name. */
export const EVERY_POOL = '*';

/** The longest life of a token that has an end. */
export const MAX_TOKEN_LIFE_MS = 366 * 86_400_000;

/** The role in each pool, by its id; `*` = in every pool. */
export type Grants = Readonly<Record<string, Role>>;

/** Does somebody who has `has` have what needs `needs`? */
export const isAtLeast = (has: Role | undefined, needs: Role): boolean =>
  has !== undefined && ROLES.indexOf(has) >= ROLES.indexOf(needs);

const higher = (one: Role | undefined, other: Role | undefined): Role | undefined =>
  one !== undefined && isAtLeast(one, other ?? 'viewer') ? one : other;

const own = (grants: Grants, key: string): Role | undefined =>
  Object.hasOwn(grants, key) ? grants[key] : undefined;

/** The role in this pool: the higher of what is given there and what is given everywhere; undefined = none. */
export const roleIn = (grants: Grants, poolId: string): Role | undefined =>
  higher(own(grants, poolId), own(grants, EVERY_POOL));

/** The highest role anywhere; undefined = none. */
export const highestRole = (grants: Grants): Role | undefined =>
  Object.values(grants).reduce<Role | undefined>(higher, undefined);

/** The pools with at least this role; undefined = every pool. */
export const poolsWith = (grants: Grants, role: Role): readonly string[] | undefined =>
  isAtLeast(own(grants, EVERY_POOL), role)
    ? undefined
    : Object.keys(grants).filter((poolId) => isAtLeast(own(grants, poolId), role));

/** May whoever has `grants` hand out `wanted`? Only an admin of a pool gives roles in it. */
export const mayGive = (grants: Grants, poolIds: readonly string[]): boolean =>
  poolIds.every((poolId) => isAtLeast(roleIn(grants, poolId), 'admin'));
