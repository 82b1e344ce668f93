// Starts `kata-agent-ctl lsp` for configurations of kata-agent.
const { workspace } = require('vscode');
const { LanguageClient } = require('vscode-languageclient/node');

/** As in package.json, where VS Code takes their language from. */
const patterns = ['**/kata-agent.toml', '**/kata-agent/config.toml', '**/*.kata-agent.toml'];

let client;

exports.activate = async () => {
  const command = workspace.getConfiguration('kata-agent').get('path');
  client = new LanguageClient(
    'kata-agent',
    'kata-agent',
    { command, args: ['lsp'] },
    { documentSelector: patterns.map((pattern) => ({ scheme: 'file', pattern })) },
  );
  await client.start();
};

exports.deactivate = () => client?.stop();
