import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '@sagaz/core';
import { DeadlyFaults } from './faults.js';
import { takeNotes } from './notes.js';
import { OrderSaga } from './order-saga.js';
import type { Scenario } from './scenario.js';
import { settled } from './settled.js';
import { System } from './system.js';

/** Places orders like a client that repeats requests without an answer; ends when no work is left. */
async function main({ url, fault, orders, notes, retry, retryMs }: Scenario): Promise<void> {
  const system = await System.open(url, stderrLogger(), new DeadlyFaults(fault), retryMs);
  const { engine } = system;
  // These have no owner until an engine claims them, and start with the application's own row.
  for (const orderId of orders.filter((id) => id.includes('late'))) {
    await system.orders.begin(async ({ query, transaction }) => {
      const { rowCount } = await query('SELECT FROM app.placed WHERE order_id = $1', [orderId]);
      if (rowCount === 0) await query('INSERT INTO app.placed VALUES ($1)', [orderId]);
      await engine.start(OrderSaga, { orderId }, { idempotencyKey: orderId, transaction });
    });
  }
  // A process that freezes must not hold the locks of a note by chance.
  if (fault?.action === 'freeze') await takeNotes(system.orders, notes);
  await system.run();
  if (retry === true) {
    const parked = await engine.find({ statuses: ['needs_attention'] });
    await Promise.all(parked.map(({ id }) => engine.retry(id)));
    while ((await engine.find({ statuses: ['needs_attention'] })).length > 0) await pause(50);
  }
  const noted = takeNotes(system.orders, notes);
  for (const orderId of orders.filter((id) => !id.includes('late'))) {
    await engine.start(OrderSaga, { orderId }, { idempotencyKey: orderId });
  }
  await noted;
  while (!(await settled(system.pool, orders.length))) await pause(50);
  // A process that was frozen still has something to write: it is given the time to write it before it
  // ends.
  if (fault?.action === 'freeze') await system.close();
  process.exit(0);
}

function stderrLogger(): Logger {
  const line = (level: string) => (message: string, fields?: object, cause?: unknown) => {
    const text = `${level} ${message} ${JSON.stringify(fields ?? {})} ${cause instanceof Error ? String(cause.stack) : ''}`;
    process.stderr.write(`${text}\n`);
  };
  return { debug: () => {}, info: () => {}, warn: line('warn'), error: line('error') };
}

await main(JSON.parse(process.argv[2] ?? '') as Scenario);
