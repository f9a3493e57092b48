import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const DOOR = fileURLToPath(new URL('../../libs/nestjs/dist/index.d.ts', import.meta.url));
const CORE = fileURLToPath(new URL('../../libs/core/dist/index.d.ts', import.meta.url));

/** Types that an application never names: it is handed them, or they are for authors of drivers. */
const HANDED = new Set([
  // Drivers come from their packages: postgres(), postgresBroker().
  'StoreDriver',
  'BrokerDriver',
  // Constructors of what Nest injects.
  'Clock',
  'Logger',
  'Broker',
  'Store',
  'SagaEngine',
  'SagaRegistry',
  'SagaDefinition',
  'InboxAttempt',
  'InboxHandler',
  'InboxUnit',
  'OutboxMessage',
  'Transaction',
  'OutcomeWatch',
]);

const program = ts.createProgram([DOOR, CORE], {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
  skipLibCheck: true,
  types: ['node'],
});
const checker = program.getTypeChecker();

function exportsOf(file: string): readonly ts.Symbol[] {
  const source = program.getSourceFile(file);
  const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`${file} is not built: npm run build.`);
  return checker.getExportsOfModule(module).map(resolved);
}

function resolved(symbol: ts.Symbol): ts.Symbol {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

/** Names of types in a declaration, but for what is private to it. */
function namesIn(node: ts.Node, visit: (name: ts.Node) => void): void {
  if (ts.canHaveModifiers(node)) {
    const hidden = ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword);
    if (hidden === true) return;
  }
  if (ts.isTypeReferenceNode(node)) visit(node.typeName);
  if (ts.isExpressionWithTypeArguments(node)) visit(node.expression);
  if (ts.isTypeQueryNode(node)) visit(node.exprName);
  ts.forEachChild(node, (child) => {
    namesIn(child, visit);
  });
}

describe('@sagaz/nestjs', () => {
  it('exports every type of the core that its own exports speak of', { timeout: 120_000 }, () => {
    const offered = new Set(exportsOf(DOOR));
    const core = new Set(exportsOf(CORE));
    const missing = new Set<string>();
    for (const exported of offered) {
      for (const declaration of exported.declarations ?? []) {
        namesIn(declaration, (name) => {
          const symbol = checker.getSymbolAtLocation(name);
          if (symbol === undefined) return;
          const meant = resolved(symbol);
          if (!core.has(meant) || offered.has(meant) || HANDED.has(meant.name)) return;
          missing.add(`${meant.name} (of ${exported.name})`);
        });
      }
    }
    expect([...missing].sort()).toEqual([]);
  });

  it('exports every error of the core that an application can meet', { timeout: 120_000 }, () => {
    const offered = new Set(exportsOf(DOOR));
    const errors = exportsOf(CORE).filter(({ name }) => /^[A-Z].*Error$/.test(name));
    const missing = errors.filter((error) => !offered.has(error)).map(({ name }) => name);
    // Settings of parts that the module makes itself; its options are checked before.
    expect(missing.sort()).toEqual(['InvalidEngineSettingError', 'PublishTimeoutTooLongError']);
  });
});
