import type { ProcessRole } from '@sagaz/core';

/** A table or sequence of the store's schema, and the privileges that a process needs on it. */
export interface Needed {
  readonly kind: 'TABLE' | 'SEQUENCE';
  readonly name: string;
  readonly privileges: readonly ('SELECT' | 'INSERT' | 'UPDATE' | 'DELETE' | 'USAGE')[];
}

/** UPDATE is included also for tables that are not changed, because locking a row requires it. */
const table = (name: string, ...privileges: Needed['privileges']): Needed => ({
  kind: 'TABLE',
  name,
  privileges,
});
const SENDING = [
  table('outbox', 'SELECT', 'INSERT'),
  { kind: 'SEQUENCE', name: 'outbox_seq', privileges: ['USAGE'] },
] as const satisfies readonly Needed[];

/**
 * The privileges that each role of a process needs. For a process without roles, which only publishes
 * and starts sagas, none are checked.
 */
export const NEEDED: Readonly<Record<ProcessRole, readonly Needed[]>> = {
  engine: [
    table('engine', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    table('saga', 'SELECT', 'INSERT', 'UPDATE'),
    table('saga_journal', 'SELECT', 'INSERT'),
    table('saga_mail', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    ...SENDING,
  ],
  relay: [
    table('outbox', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    { kind: 'SEQUENCE', name: 'outbox_seq', privileges: ['SELECT', 'USAGE'] },
    table('slot_lease', 'SELECT', 'UPDATE'),
    table('slot_member', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    table('saga_mail', 'SELECT', 'INSERT'),
  ],
  consume: [
    table('inbox', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    table('inbox_attempt', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    table('inbox_dead_letter', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    table('participant', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    ...SENDING,
  ],
};
