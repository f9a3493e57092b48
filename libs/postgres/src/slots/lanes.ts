import { QUEUED_STATUSES, type QueuedStatus } from '@sagaz/core';

/**
 * The lane of a message's row for each of its statuses. A row is in one lane, and the primary key holds the
 * rows of a lane together; the function `lane_status` of the database names the status of a lane.
 */
export const LANES: Readonly<Record<QueuedStatus, number>> = {
  pending: 0,
  retrying: 1,
  held: 2,
  optimistic: 3,
  delayed: 4,
  dead_letter: 5,
};

/** The lane of messages in the broker's table that belong to no group yet. */
export const UNROUTED_LANE = 6;

/** SQL condition: `alias.lane IN (0, 1)`. */
export function inLanes(alias: string, ...statuses: readonly QueuedStatus[]): string {
  const lanes = statuses.map((status) => String(LANES[status]));
  return lanes.length === 1
    ? `${alias}.lane = ${lanes.join()}`
    : `${alias}.lane IN (${lanes.join(', ')})`;
}

/** The status of a lane; undefined: it is none of a queue's messages. */
export function statusOf(lane: number): QueuedStatus | undefined {
  return QUEUED_STATUSES.find((status) => LANES[status] === lane);
}
