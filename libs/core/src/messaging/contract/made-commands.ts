import { AsyncLocalStorage } from 'node:async_hooks';
import type { Command } from './command.js';

const attempts = new AsyncLocalStorage<Set<Command>>();

/**
 * Runs a step's method, and answers what it yields with the commands that it made meanwhile: one that
 * is made and not returned is sent nowhere, and nothing else would say so.
 */
export async function withMadeCommands<T>(
  work: () => T | Promise<T>,
): Promise<{ readonly value: T; readonly made: ReadonlySet<Command> }> {
  const made = new Set<Command>();
  const value = await attempts.run(made, work);
  return { value, made };
}

/** Called by {@link command}, wherever the running attempt may be. */
export function noteMade(command: Command): void {
  attempts.getStore()?.add(command);
}
