import { readFile } from 'node:fs/promises';
import { z } from 'zod';

/** An order as it stands in a file; the order service judges the rest. */
const orderOnFile = z.looseObject({
  orderId: z.string().min(1),
  customerId: z.string().min(1),
  items: z.array(z.unknown()),
});
export type OrderOnFile = z.infer<typeof orderOnFile>;

const productOnFile = z.object({
  sku: z.string().min(1),
  name: z.string().min(1),
  stock: z.int().nonnegative(),
  unitPriceCents: z.int().nonnegative().optional(),
});
export type ProductOnFile = z.infer<typeof productOnFile>;

/** One line of an order file: an order, or why it is none. */
export type OrderLine =
  | { readonly kind: 'order'; readonly line: number; readonly order: OrderOnFile }
  | { readonly kind: 'unreadable'; readonly line: number; readonly problem: string };

/** Reads JSON Lines. A bad line becomes an answer of its own and disturbs no other. */
export async function readOrders(file: string): Promise<OrderLine[]> {
  return (await linesOf(file)).map(({ line, text }) => {
    const json = parse(text);
    if (json === undefined) return { kind: 'unreadable', line, problem: 'is not JSON' };
    const order = orderOnFile.safeParse(json);
    return order.success
      ? { kind: 'order', line, order: order.data }
      : { kind: 'unreadable', line, problem: `is no order: ${problemsOf(order.error)}` };
  });
}

/** Reads JSON Lines. Without right products no order can be judged, so a bad line ends the run. */
export async function readProducts(file: string): Promise<ProductOnFile[]> {
  return (await linesOf(file)).map(({ line, text }) => {
    const product = productOnFile.safeParse(parse(text));
    if (product.success) return product.data;
    throw new Error(
      `Line ${String(line)} of ${file} is no product: ${problemsOf(product.error)}. ` +
        'Expected {"sku", "name", "stock"}.',
    );
  });
}

async function linesOf(file: string): Promise<{ line: number; text: string }[]> {
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(`The file ${file} cannot be read. Give the path of a JSON Lines file.`, {
      cause: error,
    });
  }
  return content
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((text, index) => ({ line: index + 1, text: text.trim() }))
    .filter(({ text }) => text !== '');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function problemsOf(error: z.ZodError): string {
  return error.issues
    .map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`)
    .join('; ');
}
