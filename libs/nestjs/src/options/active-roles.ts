import type { ProcessRole } from '@sagaz/core';
import type { EffectiveOptions } from './options-schema.js';

const ROLES = ['engine', 'relay', 'consume'] as const satisfies readonly ProcessRole[];

/** Lists the roles that this process has. */
export function activeRoles(roles: EffectiveOptions['roles']): readonly ProcessRole[] {
  return ROLES.filter((role) => roles[role]);
}
