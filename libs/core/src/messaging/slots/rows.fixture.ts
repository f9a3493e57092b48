import type { QueuedMessage } from '../../ports/index.js';
import { textOf } from '../../testing/index.js';
import type { RowOutcome } from './index.js';

export const done: RowOutcome = { kind: 'complete' };

/** The body of the message of a row, `<key>:<n>` where `outboxMessage` made it. */
export function text({ message }: QueuedMessage): string {
  return textOf(message);
}
