/** A certificate and its key (PEM), as a bare server is told to use them. */
export interface KeyPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}
