import type { SagazPool, SchemaName } from '../connection/index.js';
import { missingGrant } from './grants.js';
import { topicLocks } from './publisher.js';

/** A consumer group that has joined its topics. */
export interface Membership {
  readonly number: number;
  /** Topics with messages from before the group joined that have yet to be assigned to it. */
  readonly unfinished: readonly string[];
}

export async function joinTopics(
  pool: SagazPool,
  { quoted }: SchemaName,
  group: string,
  topics: readonly string[],
): Promise<Membership> {
  const asked = [...new Set(topics)];
  const { rows } = await pool
    .for('work')
    .query<{ number: number; unfinished: string[] }>({
      // Read as JSON, because arrays of the database are read as text.
      text: `SELECT group_id AS number, to_json(unfinished) AS unfinished FROM ${quoted}.subscribe($1, $2, $3)`,
      values: [group, asked, topicLocks(asked)],
    })
    .catch((error: unknown) => {
      throw missingGrant(error) ?? error;
    });
  const [joined] = rows;
  if (joined === undefined) throw new Error('PostgreSQL answered a SELECT of one row with none.');
  return joined;
}
