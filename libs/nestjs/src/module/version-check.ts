import { SagazError, VERSION } from '@sagaz/core';
import type { EffectiveOptions } from '../options/index.js';
import { NESTJS_VERSION } from '../version.js';

/** Packages of Sagaz of different versions are installed. */
export class VersionMismatchError extends SagazError {
  readonly code = 'SAGAZ_VERSION_MISMATCH';

  constructor(
    /** The version of each package. */
    readonly versions: Readonly<Record<string, string>>,
  ) {
    super(
      `Packages of Sagaz of different versions are installed: ${Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', ')}.`,
      'Install the same version of all @sagaz packages; `npm ls @sagaz/core` shows who brings another one.',
    );
  }
}

/** @throws VersionMismatchError */
export function checkVersions({ store, stores, broker }: EffectiveOptions): void {
  const versions: Record<string, string> = {
    '@sagaz/nestjs': NESTJS_VERSION,
    '@sagaz/core': VERSION,
  };
  for (const [what, driver] of [
    ['the store', store],
    ['the broker', broker],
    ...Object.entries(stores).map(([name, driver]) => [`the store of '${name}'`, driver] as const),
  ] as const) {
    if (driver?.version !== undefined) {
      versions[`${what} ${driver.name} (with @sagaz/core)`] = driver.version;
    }
  }
  if (new Set(Object.values(versions)).size > 1) throw new VersionMismatchError(versions);
}
