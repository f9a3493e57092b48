/**
 * The entries that a list of sagas is made from: of the last transitions of each journal, the newest
 * entry of each kind, step and item. A step that is tried again and again then leaves one entry of each kind,
 * and pushes out neither the entries of other steps nor the reason why the saga compensates.
 */
export interface LatestEntriesLook {
  /** The sagas. The caller bounds their number. */
  readonly ids: readonly string[];
  /** How many transitions at the end of each journal are looked at. */
  readonly transitions: number;
  /**
   * The kinds whose data is returned, its first {@link LATEST_DATA_CHARACTERS} at most. The data of
   * other kinds is null, since outputs may be large.
   */
  readonly dataOf: readonly string[];
}

/** How many characters (code points) of the data of an entry are returned for a list at most. */
export const LATEST_DATA_CHARACTERS = 8_000;
