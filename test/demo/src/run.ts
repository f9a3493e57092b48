import { audit, countEnded, rejectedOrders } from './audit.js';
import { killEach } from './killer.js';
import { Ledger } from './ledger.js';
import { makeUpOrders, makeUpProducts, productsOf } from './made-up-orders.js';
import { MessageWatch } from './message-watch.js';
import type { DemoOptions } from './options.js';
import { readOrders, readProducts, type OrderLine, type ProductOnFile } from './order-source.js';
import { pricesOf } from './prices.js';
import { untilQuiet } from './quiet.js';
import type { Narrator } from './narrator.js';
import type { Result } from './report.js';
import type { System } from './system.js';
import { sendOrders, setPrices, stockUp, whyRejected } from './traffic.js';
import { Turnstile } from './turnstile.js';

const MADE_UP_COUNT = 200;

export interface Goods {
  readonly products: readonly ProductOnFile[];
  readonly lines: readonly OrderLine[];
}

/** Reads or makes up what is sold and what is ordered, before anything is started. */
export async function prepareGoods(options: DemoOptions): Promise<Goods> {
  const read = options.orders === undefined ? null : await readOrders(options.orders);
  const count = options.count ?? read?.length ?? MADE_UP_COUNT;
  const products = await productsFor(options, read, count);
  return {
    products,
    lines: read === null ? makeUpOrders(count, options.seed, products) : read.slice(0, count),
  };
}

async function productsFor(
  options: DemoOptions,
  read: readonly OrderLine[] | null,
  count: number,
): Promise<readonly ProductOnFile[]> {
  if (options.products !== undefined) return readProducts(options.products);
  return read === null ? makeUpProducts(count) : productsOf(read);
}

/** Sends the orders, kills, waits until all is quiet, and compares the books. */
export async function run(
  system: System,
  { products, lines }: Goods,
  options: DemoOptions,
  narrator: Narrator,
  signal: AbortSignal,
): Promise<Result> {
  const began = performance.now();
  await stockUp(system.inventory.address, system.adminToken, products);
  await setPrices(system.orders.address, system.adminToken, pricesOf(products, lines));
  const ledger = new Ledger(system);
  const watch = new MessageWatch(system);
  watch.start();
  try {
    const accepted = new Set<string>();
    let turnedAway = 0;
    const turnstile = new Turnstile();
    const sending = sendOrders(
      system.orders.address,
      lines,
      turnstile,
      (answer) => {
        if (answer.kind === 'accepted') {
          accepted.add(answer.orderId);
        } else {
          turnedAway += 1;
          narrator.say(`turned away: ${answer.why}`);
        }
      },
      signal,
    );
    const ended = async (): Promise<number> => turnedAway + (await countEnded(ledger));
    const progress = {
      ended,
      sent: () => accepted.size + turnedAway,
      total: lines.length,
      letThrough: (orders: number) => turnstile.letThrough(orders),
    };
    const killing = killEach(
      options.kill ? [...system.processes, system.database] : [],
      progress,
      narrator.killed,
      signal,
    );
    const stopProgress = narrator.follow(ended, lines.length);
    try {
      await Promise.all([sending, killing]);
      await untilQuiet(ledger, accepted.size, signal);
    } finally {
      stopProgress();
    }
    await watch.stop();
    const stock = new Map(products.map(({ sku, stock }) => [sku, stock]));
    const findings = await audit(ledger, accepted, stock);
    const reasons = await whyRejected(system.orders.address, await rejectedOrders(ledger));
    narrator.rejected(reasons);
    return {
      orders: lines.length,
      ...findings,
      rejected: findings.rejected + turnedAway,
      messagesPublished: watch.published,
      duplicatesDropped: watch.duplicatesDropped,
      kills: system.kills,
      seconds: Math.round((performance.now() - began) / 100) / 10,
    };
  } finally {
    await watch.stop();
    await ledger.close();
  }
}
