/** The version of this release: of the controller, the MIGlet and migctl alike. lerna.json has the same. */
export const VERSION = '0.1.0';
