/** The steps of `certs rotate`, in their order. */
export const ROTATE_STEPS = ['begin', 'switch', 'end'] as const;
export type RotateStep = (typeof ROTATE_STEPS)[number];
