/** Did the system say no (a full disk, a missing file), as opposed to a fault of ours? */
export const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  typeof error === 'object' && error !== null && 'syscall' in error && typeof error.syscall === 'string';
