/** The first items, up to the one that brings their bytes to the bound. */
export function withinBytes<T>(
  items: readonly T[],
  bytes: number,
  bytesOf: (item: T) => number,
): readonly T[] {
  let read = 0;
  const end = items.findIndex((item) => {
    read += bytesOf(item);
    return read >= bytes;
  });
  return end < 0 ? items : items.slice(0, end + 1);
}
