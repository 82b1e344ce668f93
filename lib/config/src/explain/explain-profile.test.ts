import assert from 'node:assert/strict';
import { test } from 'node:test';
import { profiles } from '@kata-agent/catalogue/profiles';
import { load } from '../loading.test.fixture.js';
import { profileName } from '../profile/profile-digest.js';
import { explainConfiguration } from './explain-configuration.js';
import { renderExplanation } from './render-explanation.js';

const profile = profiles.get('rs-shared-1') ?? assert.fail();

const document = `[api]
allowed_endpoints = ["*"]
profile = "${profileName(profile)}"
profile_except = ["create-container-devices"]
[api.values]
host_name = "^web$"
pod_name = "^web$"
signals = [9]
volume_groups = [999]
[[api.values.container]]
name = "app"
args = ["sleep", "1"]
env_like = [{ name = "IP", pattern = "^[0-9.]+$" }]
terminal = false
`;

test('an explanation has the profile, the values that are not its defaults, and the rules that are not in force', async () => {
  const explanation = explainConfiguration(await load(document));
  const expected = {
    name: 'rs-shared-1',
    source: '/c.toml:3',
    except: ['create-container-devices'],
    values: {
      host_name: '^web$',
      pod_name: '^web$',
      volume_groups: [999],
      container: [{ name: 'app', args: ['sleep', '1'], env_like: [{ name: 'IP', pattern: '^[0-9.]+$' }] }],
    },
  };
  assert.deepEqual(JSON.parse(JSON.stringify(explanation.profiles)), [expected]);
  assert.ok(
    renderExplanation(explanation).includes(`
profile rs-shared-1 (/c.toml:3)
  without create-container-devices
  host_name = "^web$"
  pod_name = "^web$"
  volume_groups = [999]
  container "app"
    args = ["sleep","1"]
    env_like = [{"name":"IP","pattern":"^[0-9.]+$"}]
`),
  );
  assert.deepEqual(explainConfiguration(await load('[api]\nallowed_endpoints = []\n')).profiles, []);
});
