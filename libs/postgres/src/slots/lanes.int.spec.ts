import { QUEUED_STATUSES } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { OutboxDatabase } from '../outbox/outbox.fixture.js';
import { LANES, statusOf, UNROUTED_LANE } from './lanes.js';

describeEachPostgres('the lanes of messages', (server) => {
  let database: OutboxDatabase;
  beforeAll(async () => {
    database = await OutboxDatabase.create(server);
  });
  afterAll(() => database.drop());

  it('have the same names here and in the database', async () => {
    const { rows } = await database.pool().query<{ lane: number; status: string }>({
      text: 'SELECT lane, sagaz.lane_status(lane) AS status FROM generate_series(0, 6) AS lane',
    });
    expect(Object.fromEntries(rows.map(({ lane, status }) => [status, lane]))).toEqual({
      ...LANES,
      unrouted: UNROUTED_LANE,
    });
    expect(QUEUED_STATUSES.map((status) => statusOf(LANES[status]))).toEqual(QUEUED_STATUSES);
    expect(statusOf(UNROUTED_LANE)).toBeUndefined();
  });
});
