/** Who and what exists: organizations, any repository of them, and the one enterprise. */

export interface Organization {
  readonly id: number;
  /** As it is spelled; names have no case. */
  readonly login: string;
}

export interface Repository {
  readonly id: number;
  readonly owner: Organization;
  readonly name: string;
  /** `owner/name`. */
  readonly fullName: string;
}

export interface Directory {
  readonly organizations: readonly Organization[];
  /** The slug of the enterprise; undefined: there is none. */
  readonly enterprise: string | undefined;
  findOrganization(login: string): Organization | undefined;
  /** Undefined if the owner does not exist. Any name exists; it has its id from the first time it is asked for. */
  findRepository(owner: string, name: string): Repository | undefined;
  findRepositoryById(id: number): Repository | undefined;
}

const FIRST_ORGANIZATION_ID = 101;
const FIRST_REPOSITORY_ID = 5_001;

export function createDirectory(options: {
  organizations: readonly string[];
  enterprise?: string | undefined;
}): Directory {
  const organizations = options.organizations.map((login, index) => ({
    id: FIRST_ORGANIZATION_ID + index,
    login,
  }));
  const repositories = new Map<string, Repository>();

  function findOrganization(login: string): Organization | undefined {
    return organizations.find((known) => known.login.toLowerCase() === login.toLowerCase());
  }

  return {
    organizations,
    enterprise: options.enterprise,
    findOrganization,
    findRepository(ownerLogin, name) {
      const owner = findOrganization(ownerLogin);
      if (owner === undefined || name === '') return undefined;
      const fullName = `${owner.login}/${name}`;
      const key = fullName.toLowerCase();
      const known = repositories.get(key);
      if (known !== undefined) return known;
      const repository = { id: FIRST_REPOSITORY_ID + repositories.size, owner, name, fullName };
      repositories.set(key, repository);
      return repository;
    },
    findRepositoryById: (id) => [...repositories.values()].find((repository) => repository.id === id),
  };
}
