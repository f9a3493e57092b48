import { AsyncLocalStorage } from 'node:async_hooks';
import type { Command } from './command.js';

const attempts = new AsyncLocalStorage<Set<Command>>();

/**
 * Whether this process can make commands. Up to Node 23 the first run in an `AsyncLocalStorage` makes
 * every later promise of the process slower, so a process without commands does not use one.
 */
let possible = false;

/** Called when a command's contract is defined, which happens before any command is made. */
export function noteCommandContract(): void {
  possible = true;
}

/** Whether an attempt has to be watched for commands that it makes. */
export function mayMakeCommands(): boolean {
  return possible;
}

/**
 * Runs a step's method and returns its result with the commands that it made. A command that is made
 * and not returned is never sent, and without this list that would not be noticed.
 */
export async function withMadeCommands<T>(
  work: () => T | Promise<T>,
): Promise<{ readonly value: T; readonly made: ReadonlySet<Command> }> {
  const made = new Set<Command>();
  const value = await attempts.run(made, work);
  return { value, made };
}

/**
 * Called by {@link command} for every command; the running attempt is found by its asynchronous
 * context.
 */
export function noteMade(command: Command): void {
  // A contract that was written by hand has not called `noteCommandContract`.
  possible = true;
  attempts.getStore()?.add(command);
}
