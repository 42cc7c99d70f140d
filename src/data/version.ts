/** The version of this package; a constant, because a bundled application has no package.json to read. */
export const VERSION = '0.1.0';
