import { expect, it, vi } from 'vitest';

it('attempts are watched for commands from the first definition of one on', async () => {
  // Modules of their own: other specs may have defined commands in this process.
  vi.resetModules();
  const { command, defineCommand, defineEvent, mayMakeCommands, noteMade, withMadeCommands } =
    await load();
  defineEvent()('order.placed');
  expect(mayMakeCommands()).toBe(false);

  const Reserve = defineCommand()('inventory.reserve');
  expect(mayMakeCommands()).toBe(true);
  const { value, made } = await withMadeCommands(async () => {
    await Promise.resolve();
    return command(Reserve, undefined);
  });
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
