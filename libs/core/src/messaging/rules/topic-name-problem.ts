import { valueText } from '../../errors/index.js';
import { LONGEST_KEY } from './longest-key.js';
import { isLine } from './line.js';

/**
 * Why no store or broker could hold messages of this topic, in words; null: they could. For brokers in which
 * a topic is nothing but a name.
 */
export function topicNameProblem(topic: string): string | null {
  if (topic === '' || !isLine(topic)) {
    return `its name is ${valueText(topic)}: give it one without control characters`;
  }
  const bytes = Buffer.byteLength(topic);
  // One byte is left for the key.
  if (bytes < LONGEST_KEY) return null;
  return `its name has ${bytes} bytes: give it ${LONGEST_KEY - 1} at most`;
}
