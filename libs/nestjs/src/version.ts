/**
 * Version of `@sagaz/nestjs`, compared at the start with that of the other packages. A constant and not read
 * from the manifest: `import.meta` does not survive in a CommonJS test runner.
 */
export const NESTJS_VERSION = '0.1.0';
