/** The beginning of the names of landing queues; no destination of the outbox has such a name. */
export const LANDING = 'landing:';

/** The name of a group's landing queue. */
export function queueOf(group: string): string {
  return `${LANDING}${group}`;
}
