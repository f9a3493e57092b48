import { AsyncLocalStorage } from 'node:async_hooks';
import { expect, it, vi } from 'vitest';

it('commands are watched for from the first definition of one on, and cost nothing before', async () => {
  // Modules of their own: other specs may have defined commands in this process.
  vi.resetModules();
  const { command, defineCommand, defineEvent, noteMade, withMadeCommands } = await load();
  const watched = vi.spyOn(AsyncLocalStorage.prototype, 'run');
  defineEvent()('order.placed');
  expect(await withMadeCommands(() => Promise.resolve(1))).toEqual({ value: 1, made: new Set() });
  expect(watched).not.toHaveBeenCalled();

  const Reserve = defineCommand()('inventory.reserve');
  const { value, made } = await withMadeCommands(async () => {
    await Promise.resolve();
    return command(Reserve, undefined);
  });
  expect(watched).toHaveBeenCalledOnce();
  expect([...made]).toEqual([value]);
  noteMade(value);
  expect(made.size).toBe(1);
});

async function load() {
  return {
    ...(await import('./command.js')),
    ...(await import('./message-contract.js')),
    ...(await import('./made-commands.js')),
  };
}
