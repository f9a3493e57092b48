import type { SagazPool, SchemaName } from '../connection/index.js';
import { topicLocks } from './publisher.js';

/**
 * How many messages are handed over in one statement. Publishers of the topic wait for it, and it
 * must end long before the time limit of a statement, on a slow machine too.
 */
const STEP = 10_000;

/** A consumer group that has joined its topics. */
export interface Membership {
  readonly number: number;
  /**
   * Takes over what lay in the topics before anybody had joined them. Ends at once where nothing did,
   * or where another process of the group has done so; goes on where one died in the middle.
   */
  takeOver(): Promise<void>;
}

export async function joinTopics(
  pool: SagazPool,
  { quoted }: SchemaName,
  group: string,
  topics: readonly string[],
): Promise<Membership> {
  const asked = [...new Set(topics)];
  const { rows } = await pool.query<{ group_id: number; unfinished: string[] }>({
    text: `SELECT group_id, to_json(unfinished) AS unfinished FROM ${quoted}.subscribe($1, $2, $3)`,
    values: [group, asked, topicLocks(asked)],
  });
  const [joined] = rows;
  if (joined === undefined) throw new Error('PostgreSQL answered a SELECT of one row with none.');
  const { group_id: number, unfinished } = joined;

  const step = async (topic: string, after: string): Promise<string | null> => {
    const answer = await pool.query<{ last: string | null }>({
      text: `SELECT ${quoted}.hand_over($1, $2, $3, $4, $5) AS last`,
      values: [number, topic, topicLocks([topic])[0], after, STEP],
    });
    return answer.rows[0]?.last ?? null;
  };
  return {
    number,
    async takeOver() {
      for (const topic of unfinished) {
        let after: string | null = '0';
        while (after !== null) after = await step(topic, after);
      }
    },
  };
}
