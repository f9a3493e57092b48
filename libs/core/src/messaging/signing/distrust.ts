/** Why a message is not trusted. */
export interface Distrust {
  readonly reason: 'unsigned' | 'bad_signature';
  /** `it is not signed`, to be put behind the message's name. */
  readonly problem: string;
}
