import {
  decodePayload,
  encodePayload,
  newId,
  parseDuration,
  userHeaders,
  validatePayload,
  type Clock,
  type Duration,
  type MessageHeaders,
  type MessageContract,
  type OutboxMessage,
} from '@sagaz/core';
import { InvalidHeaderError } from './errors.js';
import { surroundingHeaders } from './message-headers.js';
import { checkContract, checkOptions, checkSize } from './publish-checks.js';
import { traceHeaders } from './trace-context.js';

/** Options of a published message. */
export interface MessageOptions {
  /**
   * Messages of one (tenant, topic, key) reach the broker in the order of their commits. Default: a key
   * of its own, so that the message waits for no other.
   */
  readonly key?: string;
  /** `false`: no order even within the key, and no lock on it. Default: true when a key is given. */
  readonly ordered?: boolean;
  /**
   * The message is published after this time at the earliest, and takes its place in the order of its
   * key only then. Default 0.
   */
  readonly delay?: Duration;
  /** Further headers of the message; their names are changed to lower case. */
  readonly headers?: MessageHeaders;
  /** The tenant of the message. Default `''`, for applications with one tenant. */
  readonly tenant?: string;
}

/** A message whose body is fixed, for an outbox that is not known yet. */
export interface MessageDraft {
  readonly id: string;
  seal(source: string): Promise<OutboxMessage>;
}

/**
 * Fixes the body, headers and trace of a message as they are now. The payload's schema is checked when
 * the draft is sealed, because that is asynchronous.
 *
 * @throws UnserializableValueError, UnencodableValueError, InvalidHeaderError, InvalidDurationError, InvalidPublishError
 */
export function draftMessage<Payload>(
  contract: MessageContract<Payload>,
  payload: Payload,
  options: MessageOptions,
  clock: Pick<Clock, 'date'>,
): MessageDraft {
  checkContract(contract);
  const { type, topic } = contract;
  checkOptions(contract, options);
  const id = newId();
  const delayMs =
    options.delay === undefined ? 0 : parseDuration(options.delay, `delay of '${type}'`);
  const headers = {
    ...surroundingHeaders(),
    ...traceHeaders(),
    ...userHeaders(
      options.headers,
      (header, problem) => new InvalidHeaderError(header, type, problem),
    ),
  };
  const fixed = encodePayload(contract, payload);
  checkSize(type, fixed.payload);
  const time = clock.date().toISOString();
  return {
    id,
    async seal(source) {
      let body = fixed;
      if (contract.payloadSchema !== undefined) {
        const checked = await validatePayload(contract, decodePayload(contract, fixed));
        body = encodePayload(contract, checked);
        checkSize(type, body.payload);
      }
      return {
        id,
        tenant: options.tenant ?? '',
        topic,
        key: options.key ?? id,
        type,
        source,
        time,
        contentType: body.contentType,
        payload: body.payload,
        headers: { ...headers, ...body.headers },
        ordered: options.ordered ?? options.key !== undefined,
        delayMs,
      };
    },
  };
}
