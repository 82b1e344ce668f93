export {
  completeExpression,
  type Completions,
  describeExpression,
  type EditedRule,
  type NamedPart,
} from './describe-expression.js';
export { type SpaceEdit, spaceExpression } from './space-expression.js';
