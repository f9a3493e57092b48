/** The lock of a slot's lease row. */
export function lockOfSlot(slot: number): string {
  return `slot:${slot}`;
}

/** The lock of a message's row. */
export function lockOfRow(seq: string): string {
  return `row:${seq}`;
}
