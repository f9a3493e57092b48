import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { OrderLine, ProductOnFile } from './order-source.js';
import type { PriceOnFile } from './prices.js';
import type { Turnstile } from './turnstile.js';

/** The answer of the order service to one line of the file. */
export type Answer =
  | { readonly kind: 'accepted'; readonly orderId: string }
  | { readonly kind: 'turned_away'; readonly line: number; readonly why: string };

interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** An order as the order service shows it. */
const placed = z.object({ orderId: z.string(), reason: z.string().nullable() });

/** Tells inventory what there is. */
export async function stockUp(
  address: string,
  token: string,
  products: readonly ProductOnFile[],
): Promise<void> {
  await putList(`${address}/products`, token, products);
}

/** Tells the order service what things cost. */
export async function setPrices(
  address: string,
  token: string,
  prices: readonly PriceOnFile[],
): Promise<void> {
  await putList(`${address}/prices`, token, prices);
}

async function putList(url: string, token: string, list: readonly object[]): Promise<void> {
  for (let at = 0; at < list.length; at += 500) {
    const response = await fetch(url, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(list.slice(at, at + 500)),
    });
    if (!response.ok) throw new Error(`${url} did not take the list: ${await response.text()}`);
  }
}

/**
 * Sends orders as they are let through, a few at a time, until each has its answer. A service that is away or breaks off
 * gets the same order again: the order's id makes that safe.
 */
export async function sendOrders(
  address: string,
  lines: readonly OrderLine[],
  turnstile: Turnstile,
  onAnswer: (answer: Answer) => void,
  signal: AbortSignal,
): Promise<void> {
  const seen = new Set<string>();
  await aFewAtATime(lines.entries(), async ([at, line]) => {
    await turnstile.pass(at);
    signal.throwIfAborted();
    onAnswer(await answerTo(address, line, seen, signal));
  });
}

async function aFewAtATime<T>(
  queue: IterableIterator<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

async function answerTo(
  address: string,
  line: OrderLine,
  seen: Set<string>,
  signal: AbortSignal,
): Promise<Answer> {
  if (line.kind === 'unreadable') {
    return {
      kind: 'turned_away',
      line: line.line,
      why: `line ${String(line.line)} ${line.problem}`,
    };
  }
  const { orderId } = line.order;
  const twice = (id: string): Answer => ({
    kind: 'turned_away',
    line: line.line,
    why: `order ${id} is in the file twice`,
  });
  if (seen.has(orderId)) return twice(orderId);
  seen.add(orderId);
  for (;;) {
    signal.throwIfAborted();
    const response = await post(`${address}/orders`, line.order);
    if (response?.status === 202) {
      // The id it goes by: blanks around it are gone, and then it may be another line's order.
      const { orderId: id } = placed.parse(JSON.parse(response.text));
      if (id !== orderId && seen.has(id)) return twice(id);
      seen.add(id);
      return { kind: 'accepted', orderId: id };
    }
    if (response !== null && response.status < 500) {
      return { kind: 'turned_away', line: line.line, why: `order ${orderId}: ${response.text}` };
    }
    await sleep(100, undefined, { signal });
  }
}

/** Asks the order service why it rejected these orders. */
export async function whyRejected(
  address: string,
  orderIds: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const reasons = new Map<string, string>();
  await aFewAtATime(orderIds.values(), async (id) => {
    const response = await ask(`${address}/orders/${encodeURIComponent(id)}`);
    const reason = response?.status === 200 ? placed.parse(JSON.parse(response.text)).reason : null;
    reasons.set(id, reason ?? 'no answer');
  });
  return reasons;
}

function post(url: string, body: unknown): Promise<HttpAnswer | null> {
  return ask(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

async function ask(url: string, request: RequestInit = {}): Promise<HttpAnswer | null> {
  try {
    const response = await fetch(url, { ...request, signal: AbortSignal.timeout(10_000) });
    return { status: response.status, text: await response.text() };
  } catch {
    return null; // Killed, or not up again yet.
  }
}
