import { setTimeout as sleep } from 'node:timers/promises';
import type { OrderLine, ProductOnFile } from './order-source.js';

/** What the door of the order service answered to one line of the file. */
export type Answer =
  | { readonly kind: 'accepted'; readonly orderId: string }
  | { readonly kind: 'turned_away'; readonly line: number; readonly why: string };

/** Tells inventory what there is. */
export async function stockUp(address: string, products: readonly ProductOnFile[]): Promise<void> {
  for (let at = 0; at < products.length; at += 500) {
    const response = await fetch(`${address}/products`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(products.slice(at, at + 500)),
    });
    if (!response.ok) {
      throw new Error(`Inventory did not take the products: ${await response.text()}`);
    }
  }
}

/**
 * Sends orders, a few at a time, until each has its answer. A service that is away or breaks off
 * gets the same order again: the order's id makes that safe.
 */
export async function sendOrders(
  address: string,
  lines: readonly OrderLine[],
  onAnswer: (answer: Answer) => void,
  signal: AbortSignal,
): Promise<void> {
  const seen = new Set<string>();
  const queue = lines.values();
  const sender = async (): Promise<void> => {
    for (const line of queue) {
      signal.throwIfAborted();
      onAnswer(await answerTo(address, line, seen, signal));
    }
  };
  await Promise.all(Array.from({ length: 16 }, sender));
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
  if (seen.has(orderId)) {
    return { kind: 'turned_away', line: line.line, why: `order ${orderId} is in the file twice` };
  }
  seen.add(orderId);
  for (;;) {
    signal.throwIfAborted();
    const response = await post(`${address}/orders`, line.order);
    if (response?.status === 202) return { kind: 'accepted', orderId };
    if (response !== null && response.status < 500) {
      return { kind: 'turned_away', line: line.line, why: `order ${orderId}: ${response.text}` };
    }
    await sleep(100, undefined, { signal });
  }
}

async function post(url: string, body: unknown): Promise<{ status: number; text: string } | null> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    return { status: response.status, text: await response.text() };
  } catch {
    return null; // Killed, or not up again yet.
  }
}
