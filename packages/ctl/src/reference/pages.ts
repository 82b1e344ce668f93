import { commandsPage } from './commands-page.js';
import { endpointsPage } from './endpoints-page.js';
import { errorsPage } from './errors-page.js';
import { settingsPage } from './settings-page.js';

/** The reference pages that are made from the code's own tables, by their paths below the repository's root. */
export function referencePages(): Record<string, string> {
  return {
    'docs/reference/commands.md': commandsPage(),
    'docs/reference/endpoints.md': endpointsPage(),
    'docs/reference/errors.md': errorsPage(),
    'docs/reference/settings.md': settingsPage(),
  };
}
