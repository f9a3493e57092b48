import type { Broker, Message, PublishOutcome } from '@sagaz/core';
import type pg from 'pg';
import { bodyOf } from './messages.js';

const REFUSALS = 2;
/** Every sixth: each process that publishes six notes of a key meets one. */
const isRefused = (n: number | undefined): boolean => n !== undefined && n % 6 === 2;
const SWITCH = "SELECT FROM app.switch WHERE name = 'relay'";

/**
 * Refuses the second note of `k1` and the eighth twice, whoever brings them, so that each run retries;
 * while the switch `relay` is on, it refuses those of `k2` instead, and for good.
 */
export function refusing(broker: Broker, pool: pg.Pool): Broker {
  const mayRefuse = ({ type, key, payload }: Message): boolean =>
    type === 'note.taken' && (key === 'k1' || key === 'k2') && isRefused(bodyOf(payload).n);

  async function refuses({ id, key }: Message): Promise<boolean> {
    const { rows } = await pool.query<{ refuse: boolean }>(
      key === 'k1'
        ? `SELECT count(*) < ${REFUSALS} AND NOT EXISTS (${SWITCH}) AS refuse
            FROM app.refusal WHERE message_id = $1`
        : `SELECT EXISTS (${SWITCH}) AND $1::uuid IS NOT NULL AS refuse`,
      [id],
    );
    if (rows[0]?.refuse !== true) return false;
    await pool.query('INSERT INTO app.refusal VALUES ($1, $2)', [id, process.pid]);
    return true;
  }

  return {
    name: broker.name,
    orderedBatches: broker.orderedBatches,
    keepsRetries: broker.keepsRetries,
    publish: async (batch, deadline) => {
      let first = -1;
      // Each is asked about: a batch may hold one that could be refused and, behind it, one that is.
      for (const [at, one] of batch.entries()) {
        if (!mayRefuse(one) || !(await refuses(one))) continue;
        first = at;
        break;
      }
      if (first === -1) return broker.publish(batch, deadline);
      // The acknowledged messages of a key are a prefix: what follows the refused one is not taken.
      const error = new Error('This message is refused.');
      const { key, topic } = batch[first]!;
      const behind = (one: Message, i: number): boolean =>
        i >= first && one.topic === topic && one.key === key;
      const taken = await broker.publish(
        batch.filter((one, i) => !behind(one, i)),
        deadline,
      );
      let next = 0;
      return batch.map((one, i): PublishOutcome => {
        if (!behind(one, i)) return taken[next++]!;
        return i === first ? { kind: 'rejected', error } : { kind: 'unavailable', error };
      });
    },
    ensure: (topics) => broker.ensure(topics),
    subscribe: (request) => broker.subscribe(request),
    health: () => broker.health(),
    lag: () => broker.lag(),
    close: () => broker.close(),
  };
}
