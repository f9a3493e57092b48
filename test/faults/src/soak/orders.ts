/** How an order is to end. The id says it, so that every process and the books agree. */
export type OrderKind = 'good' | 'bad' | 'refused';

/** One order in ten fails at its last step, one in ten is refused by the other service. */
export function orderId(index: number, random: () => number): string {
  const dice = random();
  const kind: OrderKind = dice < 0.1 ? 'bad' : dice < 0.2 ? 'refused' : 'good';
  return `${kind}-${String(index).padStart(7, '0')}`;
}
