// Run beside a node_modules with braze-api: what it gets from an address, as JSON.
const { Braze } = require('braze-api');

const given = JSON.parse(process.argv[2]);
const braze = new Braze(given.url, given.key);
const campaign_id = given.campaign;
const recipients = [{ external_user_id: 'ann', trigger_properties: { promo_code: 'X1' } }];
const refused = (promise) => promise.catch((error) => ({ status: error.status, message: error.message }));

(async () => {
  const told = {};
  told.list = await braze.campaigns.list({ page: 0, include_archived: false });
  told.details = await braze.campaigns.details({ campaign_id });
  const schedule = braze.campaigns.trigger.schedule;
  told.created = await schedule.create({ campaign_id, recipients, schedule: { time: given.time } });
  const { schedule_id } = told.created;
  told.updated = await schedule.update({ campaign_id, schedule_id, schedule: { time: '2026-11-24T18:30:00Z' } });
  told.deleted = await schedule.delete({ campaign_id, schedule_id });
  told.sent = await braze.campaigns.trigger.send({ campaign_id, recipients });
  told.send_id = await braze.sends.id.create({ campaign_id, send_id: 'spring' });
  told.exported = await braze.users.export.ids({ external_ids: ['ann'], fields_to_export: ['campaigns_received'] });
  told.no_recipients = await refused(braze.campaigns.trigger.send({ campaign_id }));
  told.wrong_key = await refused(new Braze(given.url, 'wrong').campaigns.list());
  console.log(JSON.stringify(told));
})();
