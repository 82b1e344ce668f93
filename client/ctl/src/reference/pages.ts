import { configurationSchema, profiles } from '@kata-agent/analysis';
import { codesPage } from './codes-page.js';
import { commandsPage } from './commands-page.js';
import { differencesPage } from './differences-page.js';
import { endpointsPage } from './endpoints-page.js';
import { errorsPage } from './errors-page.js';
import { repliesPage } from './replies-page.js';
import { rulesPage } from './rules/rules-page.js';
import { settingsPage } from './settings-page.js';

/**
 * Returns the generated files, by path below the repository's root: the reference pages, the JSON Schema for editors,
 * and the examples that `config init` prints.
 */
export async function referencePages(): Promise<Record<string, string>> {
  return {
    'docs/reference/codes.md': codesPage(),
    'docs/reference/commands.md': commandsPage(),
    'docs/reference/differences.md': differencesPage(),
    'docs/reference/endpoints.md': endpointsPage(),
    'docs/reference/errors.md': await errorsPage(),
    'docs/reference/replies.md': repliesPage(),
    'docs/reference/rules.md': rulesPage(),
    'docs/reference/settings.md': settingsPage(),
    'docs/reference/kata-agent.schema.json': `${JSON.stringify(configurationSchema(), null, 2)}\n`,
    ...Object.fromEntries(profiles.map(({ name, text }) => [`examples/${name}.toml`, text])),
  };
}
