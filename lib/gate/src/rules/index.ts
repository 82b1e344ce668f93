export { compileRules, extendRules } from './rule-book.js';
export { entrypointFunction } from './compile/entrypoint-call.js';
export { type RuleFunction, ruleFunctions } from './functions/functions.js';
export { ruleLimits } from './language/limits.js';
export { show as showType, type Type } from './language/type.js';
export type { RuleName } from './names/rule-name.js';
export { ruleNames } from './names/rule-names.js';
export type { RuleBook } from './rule-book.js';
export { createRuleChecker } from './compile/compile-rule.js';
