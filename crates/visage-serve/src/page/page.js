'use strict';
const $ = id => document.getElementById(id);
const percent = value => `${(value * 100).toFixed(value > 0.005 && value < 0.995 ? 0 : 1)} %`;
const words = name => name.replaceAll('_', ' ');

let models = [];
let token = '';
// The picture, its attributes, and the object URLs of the picture and of its heat map.
let picture = null, attributes = [], pictureUrl = '', heatUrl = '';
// Number of the latest request. Responses to earlier ones are ignored.
let latest = 0;

async function request(path, body) {
  const headers = {};
  if (token) headers.authorization = `Bearer ${token}`;
  if (body) headers['content-type'] = 'application/octet-stream';
  let response;
  try {
    response = await fetch(path, { method: body ? 'POST' : 'GET', headers, body, cache: 'no-store' });
  } catch {
    throw new Error('The server cannot be reached.');
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401) {
    $('login').hidden = false;
    $('token').focus();
    throw new Error(token ? 'This token is wrong.' : 'The server requires a token.');
  }
  throw new Error(problem.detail ? `${problem.detail[0].toUpperCase()}${problem.detail.slice(1)}.` : `The server responded with status ${response.status}.`);
}

function report(status, error = '') {
  $('status').textContent = status;
  $('error').textContent = error;
}

const selectedModel = () => models.find(model => model.name === $('model').value);

async function loadModels() {
  try {
    models = (await (await request('v1/models')).json()).models;
  } catch (error) {
    report('', error.message);
    return;
  }
  $('login').hidden = true;
  report('');
  $('model').replaceChildren(...models.map(model => new Option(`${model.name} (${model.architecture}, ${model.height}x${model.width})`, model.name)));
  $('which').hidden = false;
  showUses();
  if (picture) classify();
}

function showUses() {
  $('uses').textContent = selectedModel()?.uses_to_avoid ?? '';
}

function show(url, alt, caption) {
  $('image').src = url;
  $('image').alt = alt;
  $('caption').textContent = caption;
  $('shown').hidden = false;
}

// Object URLs keep their data in memory until they are revoked.
function revoke(url) {
  if (url) URL.revokeObjectURL(url);
  return '';
}

function take(file) {
  if (!file) return;
  picture = file;
  pictureUrl = revoke(pictureUrl);
  pictureUrl = URL.createObjectURL(file);
  showOriginal();
  classify();
}

function showOriginal() {
  heatUrl = revoke(heatUrl);
  $('plain').hidden = true;
  for (const button of $('list').querySelectorAll('[aria-pressed=true]')) button.setAttribute('aria-pressed', 'false');
  show(pictureUrl, 'The original picture', picture.name ?? '');
}

async function classify() {
  const mine = ++latest;
  report('Running the model …');
  $('given').hidden = true;
  $('nothing').hidden = false;
  try {
    const result = await (await request(`v1/attributes?model=${encodeURIComponent($('model').value)}`, picture)).json();
    if (mine !== latest) return;
    attributes = result.images[0].attributes;
    list();
    report(`Done: ${$('summary').textContent}`);
  } catch (error) {
    if (mine === latest) report('', error.message);
  }
}

function list() {
  const present = attributes.filter(each => each.present);
  $('summary').textContent = `${present.length} of ${attributes.length} attributes are present.`;
  const order = $('order').value === 'probable' ? [...attributes].sort((a, b) => b.probability - a.probability) : attributes;
  $('list').replaceChildren(...order.map(row));
  $('nothing').hidden = true;
  $('given').hidden = false;
}

function row({ name, probability, threshold, present }) {
  const part = (kind, text = '') => {
    const span = document.createElement('span');
    span.className = kind;
    span.textContent = text;
    return span;
  };
  const button = document.createElement('button');
  button.type = 'button';
  button.setAttribute('aria-pressed', 'false');
  const bar = part('bar');
  bar.setAttribute('aria-hidden', 'true');
  bar.style.setProperty('--probability', probability);
  bar.style.setProperty('--threshold', threshold);
  bar.title = `threshold ${percent(threshold)}`;
  button.append(part('name', words(name)), bar, part('number', percent(probability)), part('decision', present ? 'present' : 'absent'),
    part('visually-hidden', `threshold ${percent(threshold)}: show heat map`));
  button.addEventListener('click', () => heat(name, button));
  const item = document.createElement('li');
  if (present) item.className = 'present';
  item.append(button);
  return item;
}

async function heat(name, button) {
  if (button.getAttribute('aria-pressed') === 'true') {
    showOriginal();
    report('The original picture is shown.');
    return;
  }
  const mine = ++latest;
  report(`Computing the heat map of ${words(name)} …`);
  try {
    const query = `model=${encodeURIComponent($('model').value)}&attribute=${encodeURIComponent(name)}`;
    const png = await (await request(`v1/heat?${query}`, picture)).blob();
    if (mine !== latest) return;
    showOriginal();
    heatUrl = URL.createObjectURL(png);
    show(heatUrl, `Grad-CAM heat map over the picture: bright regions speak for ${words(name)}`, `Heat map of ${words(name)} (Grad-CAM): bright regions speak for it`);
    button.setAttribute('aria-pressed', 'true');
    $('plain').hidden = false;
    // On a narrow screen the picture is far above the list.
    $('shown').scrollIntoView({ block: 'nearest' });
    report(`The heat map of ${words(name)} is shown over the picture.`);
  } catch (error) {
    if (mine === latest) report('', error.message);
  }
}

// The camera, if the browser gives access to one.
let stream = null;
$('camera').hidden = !navigator.mediaDevices?.getUserMedia;
$('camera').addEventListener('click', async () => {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'user' } });
  } catch (error) {
    report('', `The camera cannot be used: ${error.message}.`);
    return;
  }
  $('video').srcObject = stream;
  $('live').hidden = false;
  $('drop').hidden = true;
  await $('video').play();
  $('shoot').focus();
});
function stopCamera() {
  stream?.getTracks().forEach(track => track.stop());
  stream = null;
  $('video').srcObject = null;
  $('live').hidden = true;
  $('drop').hidden = false;
  $('camera').focus();
}
$('cancel').addEventListener('click', stopCamera);
$('shoot').addEventListener('click', () => {
  const video = $('video');
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext('2d').drawImage(video, 0, 0);
  canvas.toBlob(blob => take(new File([blob], 'camera picture', { type: 'image/png' })), 'image/png');
  stopCamera();
});

$('choose').addEventListener('click', () => $('file').click());
$('file').addEventListener('change', () => {
  take($('file').files[0]);
  $('file').value = '';
});
$('plain').addEventListener('click', () => {
  showOriginal();
  $('choose').focus();
});
$('order').addEventListener('change', list);
$('model').addEventListener('change', () => {
  showUses();
  if (picture) {
    showOriginal();
    classify();
  }
});
$('login').addEventListener('submit', event => {
  event.preventDefault();
  token = $('token').value.trim();
  loadModels();
});
document.addEventListener('paste', event => {
  const file = [...event.clipboardData.files].find(file => file.type.startsWith('image/'));
  if (file) {
    event.preventDefault();
    take(file);
  }
});
// On the whole page: the browser would open a picture that is dropped beside the frame.
let over = 0;
const mark = change => {
  over = Math.max(0, over + change);
  $('drop').classList.toggle('over', over > 0);
};
document.addEventListener('dragenter', () => mark(1));
document.addEventListener('dragleave', () => mark(-1));
document.addEventListener('dragover', event => event.preventDefault());
document.addEventListener('drop', event => {
  event.preventDefault();
  mark(-over);
  const file = event.dataTransfer.files[0];
  if (file) take(file);
  else report('', 'The dropped item is not a file: save the picture first, or copy and paste it.');
});

loadModels();
