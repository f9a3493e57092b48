import { AsyncLocalStorage } from 'node:async_hooks';
import type { Command } from './command.js';

const attempts = new AsyncLocalStorage<Set<Command>>();
const NONE: ReadonlySet<Command> = new Set();

/**
 * Whether this process could make a command. Up to Node 23 the first run in an `AsyncLocalStorage` makes
 * every promise of the process dearer from then on, which a process without commands is spared.
 */
let possible = false;

/** Called where a command is defined, without which none can be made. */
export function noteCommandContract(): void {
  possible = true;
}

/**
 * Runs a step's method, and answers what it yields with the commands that it made meanwhile: one that
 * is made and not returned is sent nowhere, and nothing else would say so.
 */
export async function withMadeCommands<T>(
  work: () => T | Promise<T>,
): Promise<{ readonly value: T; readonly made: ReadonlySet<Command> }> {
  if (!possible) return { value: await work(), made: NONE };
  const made = new Set<Command>();
  const value = await attempts.run(made, work);
  return { value, made };
}

/** Called by {@link command}, wherever the running attempt may be. */
export function noteMade(command: Command): void {
  // Its contract may have been written by hand.
  possible = true;
  attempts.getStore()?.add(command);
}
