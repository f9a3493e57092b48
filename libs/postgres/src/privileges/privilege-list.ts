import type { ProcessRole } from '@sagaz/core';

export type Privilege = 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE' | 'USAGE' | 'EXECUTE';

/** An object of a schema of Sagaz, or the schema itself, and the privileges that a process needs on it. */
export interface Needed {
  readonly kind: 'SCHEMA' | 'TABLE' | 'SEQUENCE' | 'FUNCTION';
  /** The name of the object without its schema; empty for the schema itself. A function's name is unique. */
  readonly name: string;
  readonly privileges: readonly Privilege[];
}

/** Privileges on a table. UPDATE is included also for tables that are only locked, which requires it. */
export function table(name: string, ...privileges: readonly Privilege[]): Needed {
  return { kind: 'TABLE', name, privileges };
}

export function sequence(name: string, ...privileges: readonly Privilege[]): Needed {
  return { kind: 'SEQUENCE', name, privileges };
}

/** The right to call a function. PostgreSQL gives it to everybody, unless somebody took it away. */
export function callOf(name: string): Needed {
  return { kind: 'FUNCTION', name, privileges: ['EXECUTE'] };
}

/** The privileges that every process needs, to find out which migrations were applied. */
export const TO_BEGIN = [
  { kind: 'SCHEMA', name: '', privileges: ['USAGE'] },
  table('migration', 'SELECT'),
] as const satisfies readonly Needed[];

const SENDING = [
  table('message', 'SELECT', 'INSERT'),
  sequence('message_seq', 'USAGE'),
  callOf('outbox_append_many'),
  callOf('outbox_lock'),
  callOf('constraints_checked'),
] as const satisfies readonly Needed[];

/**
 * The privileges on the tables of the store that each role of a process needs. A process without roles,
 * which only publishes and starts sagas, needs fewer, which depend on what its application does.
 */
export const STORE_NEEDS: Readonly<Record<ProcessRole, readonly Needed[]>> = {
  engine: [
    table('engine', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    table('definition', 'SELECT', 'INSERT'),
    table('saga', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    table('saga_ended', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    table('saga_key', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    table('saga_journal', 'SELECT', 'INSERT', 'DELETE'),
    table('saga_output', 'SELECT', 'INSERT', 'DELETE'),
    table('shared_task', 'SELECT', 'UPDATE'),
    table('store_counts', 'SELECT', 'INSERT', 'UPDATE'),
    callOf('entries_of'),
    table('saga_mail', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    ...SENDING,
  ],
  relay: [
    table('message', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    sequence('message_seq', 'SELECT', 'USAGE'),
    callOf('message_read'),
    callOf('message_counts'),
    callOf('message_pass'),
    table('slot_lease', 'SELECT', 'UPDATE'),
    table('slot_member', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    table('saga_mail', 'SELECT', 'INSERT'),
  ],
  consume: [
    table('inbox', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    table('inbox_attempt', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    table('participant', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    callOf('participant_begin'),
    callOf('participant_undo'),
    ...SENDING,
    // The landing queue.
    table('message', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
    sequence('message_seq', 'SELECT', 'USAGE'),
    callOf('message_read'),
    callOf('open_queue'),
    callOf('landing_size'),
    table('queue', 'SELECT', 'INSERT'),
    table('slot_lease', 'SELECT', 'INSERT', 'UPDATE'),
    table('slot_member', 'SELECT', 'INSERT', 'UPDATE', 'DELETE'),
  ],
};

/**
 * The privileges for the look for sagas that no engine runs. Every process tries it, but can do without:
 * so they are no condition of its start.
 */
export const UNSERVED_NEEDS: readonly Needed[] = [
  table('engine', 'SELECT'),
  table('definition', 'SELECT'),
  table('saga', 'SELECT'),
  table('saga_ended', 'SELECT'),
  table('saga_mail', 'SELECT'),
];

/** The list in which each object stands once, with all the privileges that the lists name for it. */
export function together(...lists: readonly (readonly Needed[])[]): readonly Needed[] {
  const all = new Map<string, Needed>();
  for (const one of lists.flat()) {
    const id = `${one.kind} ${one.name}`;
    const before = all.get(id)?.privileges ?? [];
    all.set(id, { ...one, privileges: [...new Set([...before, ...one.privileges])] });
  }
  return [...all.values()];
}
