import { AsyncLocalStorage } from 'node:async_hooks';
import type { MessageHeaders } from '@sagaz/core';

const surrounding = new AsyncLocalStorage<MessageHeaders>();

/**
 * Runs `work` so that messages published in it also carry these headers, which name the cause of the
 * messages and the work they belong to. Used around steps and handlers.
 */
export function withHeaders<T>(headers: MessageHeaders, work: () => T): T {
  return surrounding.run({ ...surrounding.getStore(), ...headers }, work);
}

/** The headers that surround the running code. */
export function surroundingHeaders(): MessageHeaders {
  return surrounding.getStore() ?? {};
}
