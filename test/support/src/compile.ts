import path from 'node:path';
import ts from 'typescript';

/** The compiler options of an application that Nest's command line has generated. */
export const asNestGenerates: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  // Sagaz's packages are read from their sources, so that no build has to be there.
  customConditions: ['@sagaz/source'],
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  strict: true,
  skipLibCheck: true,
  noEmit: true,
  types: ['node'],
};

/** Compiles all sources as modules of a folder, in one program, and returns the errors of each. */
export function compile(
  folder: string,
  sources: readonly string[],
  options: ts.CompilerOptions,
): readonly string[][] {
  const names = sources.map((_, index) => path.join(folder, `case-${String(index)}.ts`));
  const texts = new Map(names.map((name, index) => [name, sources[index] ?? '']));
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (name) => texts.has(name) || fileExists(name);
  host.readFile = (name) => texts.get(name) ?? readFile(name);
  host.getSourceFile = (name, language, ...rest) => {
    const text = texts.get(name);
    return text === undefined
      ? getSourceFile(name, language, ...rest)
      : ts.createSourceFile(name, text, language);
  };
  const program = ts.createProgram(names, options, host);
  return names.map((name) => {
    const file = program.getSourceFile(name);
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map(
      ({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'),
    );
  });
}
