import { errorText } from '../../errors/index.js';
import type { Delivery, Message } from '../../ports/index.js';
import type { InboxOutcome, InboxProcessorOptions } from './inbox.types.js';
import { roleOf } from './message-role.js';

/** Writes to the log and tells the observer how a delivery ended. Never throws. */
export function tellOutcome(
  { clock, logger, observer }: Pick<InboxProcessorOptions, 'clock' | 'logger' | 'observer'>,
  { message, attempt }: Delivery,
  group: string,
  outcome: InboxOutcome,
  began: number,
): void {
  if (outcome.kind === 'buried') {
    logger.error(
      `Message '${message.type}' is given up (${outcome.reason}) and kept as a dead letter.`,
      { ...fieldsOf(message, group, attempt), attempts: outcome.attempts },
      outcome.error,
    );
  } else if (outcome.kind === 'landed' && outcome.delayMs !== null) {
    logger.warn(`Message '${message.type}' is tried again in ${outcome.delayMs} ms.`, {
      ...fieldsOf(message, group, attempt),
      landed: true,
      error: errorText(outcome.error),
    });
  } else if (outcome.kind === 'retry') {
    // A refusal concerns all messages of the handler, and is logged for all of them together.
    const level = outcome.refused === true ? 'debug' : 'warn';
    logger[level](`Message '${message.type}' is tried again in ${outcome.delayMs} ms.`, {
      ...fieldsOf(message, group, attempt),
      counted: outcome.counted,
      error: errorText(outcome.error),
    });
  }
  const durationMs = clock.now() - began;
  observer?.ended({ message, group, role: roleOf(message), outcome, durationMs });
}

function fieldsOf({ id, type }: Message, group: string, delivery: number): Record<string, unknown> {
  return { messageId: id, type, group, delivery };
}
