import type { SagaDefinition } from './saga-definition.js';

/** Mermaid ends a label at a quote and reads `#` as the start of an entity. */
function label(text: string): string {
  return text.replaceAll('#', '#35;').replaceAll('"', '#quot;');
}

/**
 * The steps of a saga as a Mermaid flowchart: boxes are steps, double-edged ones pivots, dashed
 * arrows lead to compensations and forward recoveries.
 */
export function sagaDiagram(definition: SagaDefinition): string {
  const lines = ['flowchart TD'];
  const ids = new Map([...definition.steps.keys()].map((name, index) => [name, `s${index}`]));
  for (const [name, step] of definition.steps) {
    const id = ids.get(name) ?? name;
    lines.push(step.pivot ? `  ${id}[["${label(name)}"]]` : `  ${id}["${label(name)}"]`);
    for (const dependency of step.dependsOn) lines.push(`  ${ids.get(dependency) ?? ''} --> ${id}`);
    if (step.compensation !== null) {
      lines.push(`  ${id} -. undone by .-> ${id}u(["${label(step.compensation.method)}"])`);
    }
    if (step.forwardRecovery !== null) {
      lines.push(`  ${id} -. recovered by .-> ${id}r(["${label(step.forwardRecovery.method)}"])`);
    }
  }
  return `${lines.join('\n')}\n`;
}
