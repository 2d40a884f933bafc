//! One table per kind of mistake. A case is a file and the one mistake it has.

use super::{accept, check, mistakes_of};

/// An app without mistakes, in lines 1 to 4, and then `more` from line 5 on.
fn app(more: &str) -> String {
    format!("[apps.shop]\nproject = \"child-app\"\ncluster = \"c\"\ndomain = \"apps.example.com\"\n{more}\n")
}

fn check_app(cases: &[(&str, &str)]) {
    for (more, expected) in cases {
        check(&[(&app(more), expected)]);
    }
}

/// The same app with one of its lines replaced by `line`, which is line 5.
fn check_app_line(cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        let key = line.split(' ').next().expect("a line has a key");
        let text: String = app(line)
            .lines()
            .enumerate()
            .map(|(at, kept)| {
                let replaced = at < 4 && kept.starts_with(&format!("{key} ="));
                if replaced {
                    "#\n".to_owned()
                } else {
                    format!("{kept}\n")
                }
            })
            .collect();
        check(&[(&text, expected)]);
    }
}

#[test]
fn unknown_keys_say_what_was_meant_or_where_they_belong() {
    check(&[
        (
            "[aws]\nregoin = \"eu-central-1\"",
            "2:1 aws.regoin: is not a key that is known here = did you mean region?",
        ),
        (
            "[aws]\nendpoint-url = \"http://x\"",
            "2:1 aws.endpoint-url: is not a key that is known here = did you mean endpoint_url?",
        ),
        (
            "[polciy]\nscope = 1",
            "1:2 polciy: is not a key that is known here = did you mean policy?",
        ),
        (
            "sweep = \"1m\"",
            "1:1 sweep: is not a key that is known here = it belongs into [intervals]",
        ),
        (
            "[aws]\ncolour = 1",
            "2:1 aws.colour: is not a key that is known here = remove it; known here are endpoint_url, region",
        ),
        (
            "colour = 1",
            "1:1 colour: is not a key that is known here = use one of the tables admission, adopt, api, apps, aws, build_env, \
             cost, daemon, intervals, log, orphans, policy, report, schedules, tables, users, webhook",
        ),
        (
            "policy.deploy_retry.factor = 2",
            "1:21 policy.deploy_retry.factor: is not a key that is known here = remove it; known here are initial, max, multiplier",
        ),
    ]);
    check_app(&[
        (
            "gates = false",
            "5:1 apps.shop.gates: is not a key that is known here = did you mean gate?",
        ),
        (
            "[apps.shop.parameters.SIZE]\ntasks = 2",
            "6:1 apps.shop.parameters.SIZE.tasks: is not a key that is known here = it belongs into [apps.NAME]",
        ),
    ]);
}

#[test]
fn a_wrong_type_says_which_one_is_wanted() {
    check(&[
        (
            "[intervals]\nsweep = 60",
            "2:9 intervals.sweep: is a whole number, not a duration from 5s to 1h = write it with its unit and in quotes, for example \"90s\"",
        ),
        (
            "[intervals]\nsweep = 1.5",
            "2:9 intervals.sweep: is a number, not a duration from 5s to 1h = write it with its unit and in quotes, for example \"90s\"",
        ),
        (
            "[daemon]\nworkers = \"8\"",
            "2:11 daemon.workers: is text, not a whole number from 1 to 256 = write a whole number from 1 to 256, without quotes",
        ),
        (
            "[daemon]\nworkers = 8.0",
            "2:11 daemon.workers: is a number, not a whole number from 1 to 256 = give a whole number from 1 to 256",
        ),
        (
            "[aws]\nregion = true",
            "2:10 aws.region: is true or false, not the code of an AWS Region = give the code of an AWS Region",
        ),
        (
            "[aws]\nregion = 2026-11-20",
            "2:10 aws.region: is a date or time, not the code of an AWS Region = give the code of an AWS Region",
        ),
        (
            "[log]\nfilter = [\"info\"]",
            "2:10 log.filter: is a list, not a list of log directives = give a list of log directives",
        ),
        (
            "[tables.state]",
            "1:1 tables.state: is a table, not 3 to 255 letters, digits, hyphens, underscores and dots = give 3 to 255 letters, digits, hyphens, underscores and dots",
        ),
        (
            "[cost]\nbuild_minute = 0.005",
            "2:16 cost.build_minute: is a number, not an amount, as text, with at most six decimals = give an amount, as text, with at most six decimals",
        ),
        (
            "[cost]\nbuild_minute = \"0,005\"",
            "2:16 cost.build_minute: \"0,005\" is not an amount = write for example \"0.0493\"; cost.currency says of what",
        ),
        (
            "[cost]\ncurrency = \"$\"",
            "2:12 cost.currency: \"$\" is not the code of a currency = write for example \"USD\" or \"EUR\"",
        ),
        (
            "policy = 1",
            "1:1 policy: is a whole number, not a table beginning with [policy] = give a table beginning with [policy]",
        ),
        (
            "[[policy]]",
            "1:3 policy: is a list, not a table beginning with [policy] = give a table beginning with [policy]",
        ),
        (
            "apps.shop = 1",
            "1:6 apps.shop: is a whole number, not a table beginning with [apps.shop] = give a table beginning with [apps.shop]",
        ),
        (
            "[api.tokens]\nname = \"x\"",
            "1:6 api.tokens: is a table, not a list of tables beginning with [[api.tokens]] = give a list of tables beginning with [[api.tokens]]",
        ),
        (
            "[api]\ntokens = [1]",
            "2:11 api.tokens[0]: is a whole number, not a table = give a table",
        ),
        (
            "[policy.deploy_retry]\nmultiplier = \"2\"",
            "2:14 policy.deploy_retry.multiplier: is text, not a number from 1.0 to 10.0 = write a number from 1.0 to 10.0, without quotes",
        ),
    ]);
    let parameter = "[apps.shop.parameters.SIZE]\n";
    check_app(&[
        (
            &format!("{parameter}required = 1"),
            "6:12 apps.shop.parameters.SIZE.required: is a whole number, not true or false = give true or false",
        ),
        (
            &format!("{parameter}one_of = \"a\""),
            "6:10 apps.shop.parameters.SIZE.one_of: is text, not a list of text of at most 1024 bytes = give a list of text of at most 1024 bytes",
        ),
        (
            &format!("{parameter}one_of = [\"a\", 1]"),
            "6:16 apps.shop.parameters.SIZE.one_of[1]: is a whole number, not text of at most 1024 bytes = give text of at most 1024 bytes",
        ),
    ]);
}

#[test]
fn numbers_and_durations_keep_to_their_ranges() {
    check(&[
        (
            "[daemon]\nworkers = 0",
            "2:11 daemon.workers: 0 is out of range = give a whole number from 1 to 256",
        ),
        (
            "[daemon]\nworkers = -1",
            "2:11 daemon.workers: -1 is out of range = give a whole number from 1 to 256",
        ),
        (
            "[daemon]\nworkers = 99999999999999999999",
            "2:11 daemon.workers: 99999999999999999999 is out of range = give a whole number from 1 to 256",
        ),
        (
            "[admission]\nmax_concurrent_builds = 0",
            "2:25 admission.max_concurrent_builds: 0 is out of range = give a whole number from 1 to 5000",
        ),
        (
            "[admission]\nstarts_per_minute = 0",
            "2:21 admission.starts_per_minute: 0 is out of range = give a whole number from 1 to 600",
        ),
        (
            "[policy]\nmax_attempts = 0",
            "2:16 policy.max_attempts: 0 is out of range = give a whole number from 1 to 100",
        ),
        (
            "[policy]\nkeep_max = \"91d\"",
            "2:12 policy.keep_max: \"91d\" is too long = give at most 90d",
        ),
        (
            "[policy]\nconfirm_absence = \"0s\"",
            "2:19 policy.confirm_absence: \"0s\" is too short = give at least 1s",
        ),
        (
            "[policy]\nmemory_retention = \"59m\"",
            "2:20 policy.memory_retention: \"59m\" is too short = give at least 1h",
        ),
        (
            "[policy.destroy_retry]\nmultiplier = 0.5",
            "2:14 policy.destroy_retry.multiplier: 0.5 is out of range = give a number from 1.0 to 10.0",
        ),
        (
            "[policy.destroy_retry]\nmultiplier = nan",
            "2:14 policy.destroy_retry.multiplier: nan is out of range = give a number from 1.0 to 10.0",
        ),
        (
            "[intervals]\nsweep = \"4s\"",
            "2:9 intervals.sweep: \"4s\" is too short = give at least 5s",
        ),
        (
            "[daemon]\nlease_duration = \"6m\"",
            "2:18 daemon.lease_duration: \"6m\" is too long = give at most 5m",
        ),
        (
            "[daemon]\nshutdown_grace = \"16m\"",
            "2:18 daemon.shutdown_grace: \"16m\" is too long = give at most 15m",
        ),
    ]);
    for bad in [
        "",
        "90",
        "-90s",
        "90 s",
        "90sec",
        "1.5h",
        "s",
        "5m1h",
        "99999999999999999999d",
    ] {
        check(&[(
            &format!("[policy]\nkeep_max = \"{bad}\""),
            &format!(
                "2:12 policy.keep_max: \"{bad}\" is not a duration = write a whole number and one of s, m, h or d, \
                 for example \"90s\", \"15m\", \"8h\" or \"1h30m\""
            ),
        )]);
    }
}

#[test]
fn an_apps_numbers_keep_to_the_limits_of_codebuild_and_ecs() {
    check_app(&[
        (
            "build_timeout = \"4m\"",
            "5:17 apps.shop.build_timeout: \"4m\" is too short = give at least 5m",
        ),
        (
            "build_timeout = \"37h\"",
            "5:17 apps.shop.build_timeout: \"37h\" is too long = give at most 36h",
        ),
        (
            "build_timeout = \"330s\"",
            "5:17 apps.shop.build_timeout: \"330s\" is not in whole minutes = round it; CodeBuild counts in minutes",
        ),
        (
            "queue_timeout = \"4m\"",
            "5:17 apps.shop.queue_timeout: \"4m\" is too short = give at least 5m",
        ),
        (
            "queue_timeout = \"481m\"",
            "5:17 apps.shop.queue_timeout: \"481m\" is too long = give at most 8h",
        ),
        (
            "tasks = 0",
            "5:9 apps.shop.tasks: 0 is out of range = give a whole number from 1 to 5000",
        ),
        (
            "max_lifetime = \"9m\"",
            "5:16 apps.shop.max_lifetime: \"9m\" is too short = give at least 10m",
        ),
    ]);
    let edges =
        app("build_timeout = \"36h\"\nqueue_timeout = \"8h\"\nmax_lifetime = \"400d\"\ntasks = 0x1388");
    accept(&[
        &edges,
        "[policy.destroy_retry]\nmultiplier = 1",
        "[policy]\nkeep_max = \"1d12h\"",
    ]);
}

#[test]
fn settings_that_contradict_each_other_are_mistakes() {
    check(&[
        (
            "[daemon]\nshards = 5",
            "2:10 daemon.shards: 5 are more than [admission] has builds for: each shard needs one of its own = give at most 4, or raise admission.max_concurrent_builds above reserved_for_destroys, or starts_per_minute",
        ),
        (
            "[daemon]\nshards = 9\n[admission]\nmax_concurrent_builds = 20\nstarts_per_minute = 8",
            "2:10 daemon.shards: 9 are more than [admission] has builds for: each shard needs one of its own = give at most 8, or raise admission.max_concurrent_builds above reserved_for_destroys, or starts_per_minute",
        ),
        (
            "[admission]\nmax_concurrent_builds = 2\nreserved_for_destroys = 2",
            "3:25 admission.reserved_for_destroys: 2 leaves nothing of max_concurrent_builds = 2 for deploying = give at most 1",
        ),
        (
            "[tables]\nstate = \"lamplighter-desired\"",
            "2:9 tables.state: is the same table as tables.desired = each table has its own writers; give each its own name",
        ),
        (
            "[tables]\nevents = \"lamplighter-state\"",
            "2:10 tables.events: is the same table as tables.state = each table has its own writers; give each its own name",
        ),
        (
            "[policy]\nrefusal_window = \"10s\"\nrefusal_recheck = \"20s\"",
            "3:19 policy.refusal_recheck: 20s is longer than refusal_window, 10s, so nothing would be looked at again = give at most 10s",
        ),
        (
            "[policy.deploy_retry]\ninitial = \"1h\"",
            "1:9 policy.deploy_retry.max: 15m is shorter than initial, 1h = give at least as much as initial",
        ),
        (
            "[build_env]\nhost_name = \"APP\"",
            "2:13 build_env.host_name: \"APP\" is the name build_env.app has too = give each variable its own name",
        ),
    ]);
    // The reserve gives way to a budget of one build.
    accept(&["[admission]\nmax_concurrent_builds = 1", "[daemon]\nshards = 4"]);
}

#[test]
fn names_keep_to_the_limits_of_aws() {
    check(&[
        (
            "[aws]\nregion = \"Frankfurt\"",
            "2:10 aws.region: \"Frankfurt\" is not a Region = write a code such as \"eu-central-1\"",
        ),
        (
            "[aws]\nregion = \"eu-central-1b\"",
            "2:10 aws.region: \"eu-central-1b\" is an availability zone = write its Region, \"eu-central-1\"",
        ),
        (
            "[aws]\nendpoint_url = \"localhost:4566\"",
            "2:16 aws.endpoint_url: \"localhost:4566\" does not begin with http:// or https:// = write for example \"http://localhost:4566\"",
        ),
        (
            "[aws]\nendpoint_url = \"http://localhost:99999\"",
            "2:16 aws.endpoint_url: \"http://localhost:99999\" has no usable host and port = write for example \"http://localhost:4566\"",
        ),
        (
            "[aws]\nendpoint_url = \"http://\"",
            "2:16 aws.endpoint_url: \"http://\" is not a URL = write for example \"http://localhost:4566\"",
        ),
        (
            "[tables]\ndesired = \"ab\"",
            "2:11 tables.desired: \"ab\" is shorter than 3 characters = give 3 to 255 letters, digits, hyphens, underscores and dots",
        ),
        (
            "[tables]\ndesired = \"a b c\"",
            "2:11 tables.desired: \"a b c\" holds \" \", which is not allowed here = give 3 to 255 letters, digits, hyphens, underscores and dots",
        ),
        (
            "[tables]\ndesired = \"täbelle\"",
            "2:11 tables.desired: \"täbelle\" holds \"ä\", which is not allowed here = give 3 to 255 letters, digits, hyphens, underscores and dots",
        ),
        (
            "[apps.\"a b\"]\nproject = \"pp\"\ncluster = \"c\"\ndomain = \"d\"",
            "1:7 apps.\"a b\": its name \"a b\" holds \" \", which is not allowed here = give 1 to 64 letters, digits, hyphens and underscores, beginning with a letter or digit",
        ),
    ]);
    let project = "2 to 150 letters, digits, hyphens and underscores, beginning with a letter or digit";
    let cluster = "1 to 255 letters, digits, hyphens and underscores";
    check_app_line(&[
        (
            "project = \"p\"",
            &format!("5:11 apps.shop.project: \"p\" is shorter than 2 characters = give {project}"),
        ),
        (
            "project = \"-p\"",
            &format!(
                "5:11 apps.shop.project: \"-p\" begins with a character that is not allowed there = give {project}"
            ),
        ),
        (
            "project = \"a.b\"",
            &format!(
                "5:11 apps.shop.project: \"a.b\" holds \".\", which is not allowed here = give {project}"
            ),
        ),
        (
            "cluster = \"a/b\"",
            &format!(
                "5:11 apps.shop.cluster: \"a/b\" holds \"/\", which is not allowed here = give {cluster}"
            ),
        ),
        (
            "cluster = \"\"",
            &format!("5:11 apps.shop.cluster: \"\" is empty = give {cluster}"),
        ),
        (
            "cluster = \"arn:aws:ecs:eu-central-1:1:cluster/c\"",
            "5:11 apps.shop.cluster: \"arn:aws:ecs:eu-central-1:1:cluster/c\" is an ARN = give the name alone, which follows cluster/",
        ),
        (
            "domain = \"*.example.com\"",
            "5:10 apps.shop.domain: \"*.example.com\" is not a lower-case DNS name (labels of a-z, 0-9 and inner hyphens, \
             1 to 63 characters each) = write the domain alone, for example \"apps.example.com\"",
        ),
    ]);
    let long = |line: &str, len: usize| line.replace('X', &"x".repeat(len));
    for (line, most) in [("project = \"X\"", 150), ("cluster = \"X\"", 255)] {
        let text = |len| {
            app(&long(line, len)).replacen(
                if line.starts_with('p') {
                    "project = \"child-app\""
                } else {
                    "cluster = \"c\""
                },
                "#",
                1,
            )
        };
        accept(&[&text(most)]);
        assert!(mistakes_of(&text(most + 1))[0].contains(&format!("is longer than {most} characters")));
    }
}

#[test]
fn an_app_needs_its_projects_cluster_and_domain() {
    check(&[
        (
            "[apps.shop]\ncluster = \"c\"\ndomain = \"d\"",
            "1:7 apps.shop.project: is missing = give either project, or deploy_project and destroy_project",
        ),
        (
            "[apps.shop]\ndeploy_project = \"pp\"\ncluster = \"c\"\ndomain = \"d\"",
            "1:7 apps.shop.destroy_project: is missing = give either project, or deploy_project and destroy_project",
        ),
        (
            "[apps.shop]\ndestroy_project = \"pp\"\ncluster = \"c\"\ndomain = \"d\"",
            "1:7 apps.shop.deploy_project: is missing = give either project, or deploy_project and destroy_project",
        ),
        (
            "[apps.shop]\nproject = \"pp\"\ndomain = \"d\"",
            "1:7 apps.shop.cluster: is missing = give 1 to 255 letters, digits, hyphens and underscores",
        ),
        (
            "[apps.shop]\nproject = \"pp\"\ncluster = \"c\"",
            "1:7 apps.shop.domain: is missing = give a lower-case DNS name of at most 189 characters",
        ),
    ]);
    check_app(&[(
        "deploy_project = \"pp\"",
        "2:11 apps.shop.project: stands beside deploy_project or destroy_project = give either project, or deploy_project and destroy_project",
    )]);
    accept(&[
        "[apps.shop]\ndeploy_project = \"pp\"\ndestroy_project = \"qq\"\ncluster = \"c\"\ndomain = \"d\"",
        &app(""),
    ]);
}

#[test]
fn urls_and_paths_lead_to_one_app_over_http() {
    check_app(&[
        (
            "url = \"https://apps.example.com\"",
            "5:7 apps.shop.url: \"https://apps.example.com\" is the same for every app = use {host_name} or {resource_name} in it, for example \"https://{host_name}\"",
        ),
        (
            "url = \"{host_name}\"",
            "5:7 apps.shop.url: \"{host_name}\" does not begin with http:// or https:// = write for example \"https://{host_name}\"",
        ),
        (
            "url = \"ftp://{host_name}\"",
            "5:7 apps.shop.url: \"ftp://{host_name}\" does not begin with http:// or https:// = write for example \"https://{host_name}\"",
        ),
        (
            "url = \"https://{host}\"",
            "5:7 apps.shop.url: \"https://{host}\" uses {host}; known are {host_name} and {resource_name} = use only {host_name} and {resource_name}",
        ),
        (
            "url = \"https://{host_name\"",
            "5:7 apps.shop.url: \"https://{host_name\" has a { without its } = use only {host_name} and {resource_name}",
        ),
        (
            "url = \"https://{host_name}}\"",
            "5:7 apps.shop.url: \"https://{host_name}}\" has a } without its { = use only {host_name} and {resource_name}",
        ),
        (
            "url = \"https://{host_name}/\"",
            "5:7 apps.shop.url: \"https://{host_name}/\" ends with / = leave the last / out; health_path is appended to the URL and brings it",
        ),
        (
            "url = \"https://{host_name}?a=1\"",
            "5:7 apps.shop.url: \"https://{host_name}?a=1\" holds a query or fragment = leave out what follows ? or #",
        ),
        (
            "url = \"https://me:pw@{host_name}\"",
            "5:7 apps.shop.url: holds a user name or password = leave out what stands before the @",
        ),
        (
            "url = \"https://{host_name} x\"",
            "5:7 apps.shop.url: \"https://{host_name} x\" is not a URL = write for example \"https://{host_name}\"",
        ),
        (
            "health_path = \"healthz\"",
            "5:15 apps.shop.health_path: \"healthz\" does not begin with / = write for example \"/\" or \"/healthz\"",
        ),
        (
            "health_path = \"/a b\"",
            "5:15 apps.shop.health_path: \"/a b\" holds a character that a path cannot have = percent-encode it, for example %20 for a space",
        ),
        (
            "health_path = \"/a#b\"",
            "5:15 apps.shop.health_path: \"/a#b\" holds a character that a path cannot have = percent-encode it, for example %20 for a space",
        ),
        (
            "target_group = \"shop\"",
            "5:16 apps.shop.target_group: \"shop\" would not name a target group of each app = write \"{resource_name}\", and give the target group that name in Terraform",
        ),
        (
            "target_group = \"{resource_name}-tg\"",
            "5:16 apps.shop.target_group: \"{resource_name}-tg\" would be longer than the 32 characters a target group may have, since a resource name has up to 32 = write \"{resource_name}\", and give the target group that name in Terraform",
        ),
    ]);
    accept(&[&app(
        "url = \"http://{resource_name}.internal:8080/app\"\nhealth_path = \"/healthz?deep=1\"\ntarget_group = \"{resource_name}\"",
    )]);
}

#[test]
fn schedules_fall_due_at_times_that_exist() {
    let of = |line: &str| {
        let zone = if line.starts_with("time_zone") {
            ""
        } else {
            "time_zone = \"UTC\""
        };
        let cron = if line.starts_with("teardown") {
            ""
        } else {
            "teardown = \"0 19 * * *\""
        };
        format!("[schedules.night]\n{zone}\n{cron}\n{line}")
    };
    let example = "write for example \"0 19 * * 1-5\" for 19:00 from Monday to Friday";
    let zone = "use an IANA name such as \"Europe/Berlin\" or \"UTC\"";
    let soon = "falls due again within 10 minutes, so that an app just asked for would be stopped at once = name one minute: \
                \"0 19 * * *\" is once at 19:00, \"* 19 * * *\" is every minute from 19:00 to 19:59";
    for (line, expected) in [
        ("time_zone = \"Mars/Olympus\"", format!("4:13 schedules.night.time_zone: \"Mars/Olympus\" is not a known time zone = {zone}")),
        ("time_zone = \"+02:00\"", format!("4:13 schedules.night.time_zone: \"+02:00\" is not a known time zone = {zone}")),
        ("teardown = \"19:00\"", format!("4:12 schedules.night.teardown: \"19:00\" has not the five fields minute, hour, day of month, month, day of week = {example}")),
        ("teardown = \"0 0 19 * * *\"", format!("4:12 schedules.night.teardown: \"0 0 19 * * *\" has not the five fields minute, hour, day of month, month, day of week = {example}")),
        ("teardown = \"0 25 * * *\"", format!("4:12 schedules.night.teardown: \"0 25 * * *\" is not a cron expression (Component error: Number out of bounds.) = {example}")),
        ("teardown = \"0 19 30 2 *\"", format!("4:12 schedules.night.teardown: \"0 19 30 2 *\" names a day that never comes = {example}")),
        ("teardown = \"* 19 * * *\"", format!("4:12 schedules.night.teardown: \"* 19 * * *\" {soon}")),
        ("teardown = \"59 18 * * *\\n\"", String::new()),
        ("teardown = \"0,59 19,20 * * *\"", format!("4:12 schedules.night.teardown: \"0,59 19,20 * * *\" {soon}")),
        ("action = \"Destroy\"", "4:10 schedules.night.action: \"Destroy\" is not one of the choices = did you mean \"destroy\"?".to_owned()),
        ("action = \"stop\"", "4:10 schedules.night.action: \"stop\" is not one of the choices = use \"destroy\" or \"suspend\"".to_owned()),
    ] {
        if expected.is_empty() {
            accept(&[&of(line)]);
        } else {
            check(&[(&of(line), &expected)]);
        }
    }
    check(&[
        (
            "[schedules.night]\ntime_zone = \"UTC\"",
            "1:12 schedules.night.teardown: is missing = give five cron fields: minute, hour, day of month, month, day of week",
        ),
        (
            "[schedules.night]\nteardown = \"0 19 * * *\"",
            "1:12 schedules.night.time_zone: is missing = give an IANA time zone",
        ),
    ]);
    accept(&[
        &of("teardown = \"0 19 29 2 *\""),
        &of("teardown = \"*/10 * * * *\""),
        &of("time_zone = \"America/New_York\""),
    ]);
}

#[test]
fn a_schedule_that_is_referred_to_exists() {
    check_app(&[
        (
            "schedule = \"night\"",
            "5:12 apps.shop.schedule: \"night\" is not a schedule = add [schedules.night], or leave schedule out",
        ),
        (
            "schedule = \"nigth\"\n[schedules.night]\ntime_zone = \"UTC\"\nteardown = \"0 19 * * *\"",
            "5:12 apps.shop.schedule: \"nigth\" is not a schedule = did you mean \"night\"?",
        ),
        // A schedule with a mistake of its own is still there.
        (
            "schedule = \"night\"\n[schedules.night]\ntime_zone = \"UTC\"",
            "6:12 schedules.night.teardown: is missing = give five cron fields: minute, hour, day of month, month, day of week",
        ),
    ]);
}

#[test]
fn variables_of_a_build_never_clash_with_what_programs_obey() {
    check(&[
        (
            "[build_env]\napp = \"MY-APP\"",
            "2:7 build_env.app: \"MY-APP\" is not the name of an environment variable = use 1 to 128 letters, digits and underscores, not beginning with a digit",
        ),
        (
            "[build_env]\napp = \"PATH\"",
            "2:7 build_env.app: \"PATH\" cannot be used: shells obey it = choose another name",
        ),
        (
            "[build_env]\napp = \"LAMPLIGHTER_STATE_TABLE\"",
            "2:7 build_env.app: \"LAMPLIGHTER_STATE_TABLE\" cannot be used: names that begin with LAMPLIGHTER_ are Lamplighter's own = choose another name",
        ),
        (
            "[build_env]\napp = \"CODEBUILD_SRC_DIR\"",
            "2:7 build_env.app: \"CODEBUILD_SRC_DIR\" cannot be used: CodeBuild reserves names that begin with CODEBUILD_ = choose another name",
        ),
    ]);
    accept(&["[build_env]\naction = \"TERRAFORM_ACTION\"\nhost_name = \"TF_VAR_host_name\""]);
    let parameter = |name: &str| format!("[apps.shop.parameters.{name}]");
    let obeyed = "cannot be set by a row: programs in the build obey it = choose another name; Terraform reads a variable x from TF_VAR_x";
    for (name, expected) in [
        (
            "CODEBUILD_X",
            "cannot be used: CodeBuild reserves names that begin with CODEBUILD_ = choose another name",
        ),
        (
            "codebuild_x",
            "cannot be used: CodeBuild reserves names that begin with CODEBUILD_ = choose another name",
        ),
        (
            "LAMPLIGHTER_OPERATION_ID",
            "cannot be used: names that begin with LAMPLIGHTER_ are Lamplighter's own = choose another name",
        ),
        (
            "AWS_REGION",
            "cannot be used: the AWS CLI and SDKs obey names that begin with AWS_ = choose another name",
        ),
        (
            "LD_PRELOAD",
            "cannot be used: the dynamic linker obeys names that begin with LD_ = choose another name",
        ),
        ("BASH_ENV", "cannot be used: shells obey it = choose another name"),
        ("TF_CLI_ARGS", obeyed),
        ("STATE_BUCKET", obeyed),
        ("https_proxy", obeyed),
        ("GIT_SSH_COMMAND", obeyed),
        (
            "HOST_NAME",
            "is already what a build gets as build_env.host_name = choose another name here or there",
        ),
        (
            "1ST",
            "is not the name of an environment variable = use 1 to 128 letters, digits and underscores, not beginning with a digit",
        ),
    ] {
        check(&[(
            &app(&parameter(name)),
            &format!("5:23 apps.shop.parameters.{name}: {expected}"),
        )]);
    }
    // Whoever renames ours frees the old name and takes the new one.
    let renamed = |name| format!("{}[build_env]\nhost_name = \"FQDN\"", app(&parameter(name)));
    accept(&[&app(&parameter("TF_VAR_size")), &renamed("HOST_NAME")]);
    check(&[(
        &renamed("FQDN"),
        "5:23 apps.shop.parameters.FQDN: is already what a build gets as build_env.host_name = choose another name here or there",
    )]);
}

#[test]
fn parameters_can_be_passed_as_their_rules_say() {
    let of = |lines: &str| format!("[apps.shop.parameters.SIZE]\n{lines}");
    check_app(&[
        (
            &of("max_bytes = 1025"),
            "6:13 apps.shop.parameters.SIZE.max_bytes: 1025 is out of range = give a whole number from 1 to 1024",
        ),
        (
            &of("max_bytes = 2\none_of = [\"abc\"]"),
            "7:10 apps.shop.parameters.SIZE.one_of: offers \"abc\", which has 3 bytes, more than max_bytes = raise max_bytes or shorten it",
        ),
        (
            &of("one_of = []"),
            "6:10 apps.shop.parameters.SIZE.one_of: is empty = list the values, or leave one_of out to allow any",
        ),
        (
            &of("one_of = [\"a\"]\ndefault = \"b\""),
            "7:11 apps.shop.parameters.SIZE.default: \"b\" is none of one_of = add it to one_of, or choose one of these",
        ),
        (
            &of("max_bytes = 2\ndefault = \"abc\""),
            "7:11 apps.shop.parameters.SIZE.default: has 3 bytes, more than max_bytes = raise max_bytes or shorten it",
        ),
        (
            &of("required = true\ndefault = \"abc\""),
            "7:11 apps.shop.parameters.SIZE.default: is never used, since a row must bring the value = leave out default or required",
        ),
        (
            &of("default = \"a\\u0000b\""),
            "6:11 apps.shop.parameters.SIZE.default: \"a\\0b\" holds a NUL character, which no environment variable can = give at most 1024 bytes without NUL",
        ),
    ]);
    let many: String = (0..51)
        .map(|n| format!("[apps.shop.parameters.P{n}]\n"))
        .collect();
    check_app(&[(
        &many,
        "5:12 apps.shop.parameters: has 51 entries, more than 50 = a row may pass no more; put several into one value",
    )]);
}

#[test]
fn without_a_token_only_this_machine_may_connect() {
    let remedy = "add an [[api.tokens]] entry, or listen on \"127.0.0.1\" only";
    for address in [
        "0.0.0.0:8080",
        "[::]:8080",
        "10.0.0.1:8080",
        "[::ffff:10.0.0.1]:8080",
    ] {
        check(&[(
            &format!("[api]\npublic_addr = \"{address}\""),
            &format!(
                "2:15 api.public_addr: \"{address}\" can be reached from other machines, but no token is configured, so anybody there could \
                 start and stop apps = {remedy}"
            ),
        )]);
    }
    let hash = "ab".repeat(32);
    let token = format!("[[api.tokens]]\nname = \"portal\"\nrole = \"operator\"\nsha256 = \"{hash}\"");
    accept(&[
        &format!("[api]\npublic_addr = \"0.0.0.0:8080\"\n{token}"),
        "[api]\npublic_addr = \"127.3.2.1:8080\"",
        "[api]\npublic_addr = \"[::1]:8080\"",
        "[api]\npublic_addr = \"[::ffff:127.0.0.1]:8080\"",
        "[api]\npublic_addr = \"127.0.0.1:0\"\nadmin_addr = \"127.0.0.1:0\"",
        "[api]\nadmin_addr = \"0.0.0.0:9090\"",
    ]);
    let address =
        "write an IP address and a port, for example \"127.0.0.1:8080\", \"0.0.0.0:8080\" or \"[::1]:8080\"";
    let port = "give a port from 1 to 65535; 0 picks a free one, and only on a loopback address";
    let own = "give each its own port; metrics and probes are not for the public";
    check(&[
        (
            "[api]\nadmin_addr = \":9090\"",
            &format!("2:14 api.admin_addr: \":9090\" is not an IP address with a port = {address}"),
        ),
        (
            "[api]\nadmin_addr = \"localhost:9090\"",
            &format!("2:14 api.admin_addr: \"localhost:9090\" is not an IP address with a port = {address}"),
        ),
        (
            "[api]\nadmin_addr = \"127.0.0.1:70000\"",
            &format!("2:14 api.admin_addr: \"127.0.0.1:70000\" is not an IP address with a port = {address}"),
        ),
        (
            "[api]\nadmin_addr = \"0.0.0.0:0\"",
            &format!(
                "2:14 api.admin_addr: \"0.0.0.0:0\" has port 0, so that nobody would know where to connect = {port}"
            ),
        ),
        (
            "[api]\nadmin_addr = \"127.0.0.1:8080\"",
            &format!("2:14 api.admin_addr: \"127.0.0.1:8080\" has the same port as api.public_addr = {own}"),
        ),
        (
            "[api]\nadmin_addr = \"0.0.0.0:8080\"",
            &format!("2:14 api.admin_addr: \"0.0.0.0:8080\" has the same port as api.public_addr = {own}"),
        ),
    ]);
}

#[test]
fn a_token_has_a_name_a_role_and_a_hash_of_its_own() {
    let token = |name: &str, role: &str, hash: &str| {
        format!("[[api.tokens]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{hash}\"\n")
    };
    let (one, two) = ("ab".repeat(32), "CD".repeat(32));
    let command = "printf %s \"$TOKEN\" | sha256sum";
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let newline = "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b";
    let nothing = format!(
        "4:10 api.tokens[0].sha256: is the hash of an empty token, so that anybody could come in = set TOKEN, then make it with: {command}"
    );
    let no_hash = format!(
        "4:10 api.tokens[0].sha256: is not the 64 hexadecimal digits of a SHA-256 = make it with: {command}"
    );
    check(&[
        (
            &token("a", "admin", &one),
            "3:8 api.tokens[0].role: is not one of the choices = use \"viewer\" or \"operator\"",
        ),
        (&token("a", "viewer", "hunter2"), &no_hash),
        (&token("a", "viewer", &"g".repeat(64)), &no_hash),
        (&token("a", "viewer", &"é".repeat(32)), &no_hash),
        (&token("a", "viewer", empty), &nothing),
        (&token("a", "viewer", newline), &nothing),
        (
            "[[api.tokens]]\nname = \"a\"\nrole = \"viewer\"",
            "1:1 api.tokens[0].sha256: is missing = give 64 hexadecimal digits",
        ),
        (
            &(token("a", "viewer", &one) + &token("a", "viewer", &two)),
            "6:8 api.tokens[1].name: is the name of an earlier token too = give each its own name, so that the audit can tell them apart",
        ),
        (
            &(token("a", "viewer", &one) + &token("b", "viewer", &one.to_uppercase())),
            "8:10 api.tokens[1].sha256: is the hash of the token of a too = make each holder a token of their own",
        ),
    ]);
    accept(&[&(token("a", "viewer", &one) + &token("b", "operator", &two))]);
}

#[test]
fn words_and_log_directives_are_known_ones() {
    check(&[
        (
            "[policy]\nscope = \"user_app\"",
            "2:9 policy.scope: \"user_app\" is not one of the choices = did you mean \"user-app\"?",
        ),
        (
            "[policy]\non_conflict = \"newest\"",
            "2:15 policy.on_conflict: \"newest\" is not one of the choices = use \"refuse\" or \"replace\"",
        ),
        (
            "[log]\nformat = \"text\"",
            "2:10 log.format: \"text\" is not one of the choices = use \"json\" or \"pretty\"",
        ),
        (
            "[log]\nfilter = \"info,lamplighter=loud\"",
            "2:10 log.filter: \"info,lamplighter=loud\" is not a list of log directives = write for example \"info\" or \"info,lamplighter=debug\"",
        ),
        (
            "[log]\nfilter = \"\"",
            "2:10 log.filter: \"\" is empty = write for example \"info\" or \"info,lamplighter=debug\"",
        ),
    ]);
}

#[test]
fn what_is_adopted_is_told_by_one_thing_each() {
    let adopt = |more: &str| format!("{}[adopt]\nwhere = {{ By = \"old\" }}\n{more}\n", app(""));
    let told = "tags = { user = \"Owner\", app = \"App\", host_name = \"Host\" }";
    let whole = "name = \"{app}-{user}\"\nhost_name = \"{name}.{domain}\"";
    let fixed = "app = \"shop\"\nhost_name = \"{id}.{domain}\"\ntags = { id = \"Id\", user = \"Owner\" }";
    for good in [told, whole, fixed] {
        accept(&[&adopt(good)]);
    }
    let owner = "host_name = \"{id}.{domain}\"\ntags = { user = \"Owner\" }";
    for (more, expected) in [
        (
            "name = \"{app}\"\nhost_name = \"{id}.{domain}\"",
            "6:2 adopt.tags.user: is missing = name the tag that holds the owner, or use {user} in adopt.name",
        ),
        (
            "host_name = \"{id}.{domain}\"\ntags = { user = \"Owner\" }",
            "9:1 adopt.tags.app: is missing = name the tag that holds the app, use {app} in adopt.name, or give adopt.app",
        ),
        (
            "tags = { user = \"Owner\", app = \"App\" }",
            "8:1 adopt.tags.host_name: is missing = name the tag that holds the host name, or give adopt.host_name, for \
             example \"{name}.{domain}\"",
        ),
        (
            &format!("name = \"{{user}}-{{app}}\"\n{owner}\n"),
            "10:17 adopt.tags.user: is told by {user} in adopt.name too = keep one of the two",
        ),
        (
            &format!("{told}\nhost_name = \"{{id}}\""),
            "9:13 adopt.host_name: stands beside adopt.tags.host_name = keep one of the two",
        ),
        (
            &format!("{told}\napp = \"shop\""),
            "9:7 adopt.app: stands beside a tag or a part of adopt.name that tells the app = keep one of them",
        ),
        (
            &format!("app = \"shpo\"\n{owner}"),
            "8:7 adopt.app: \"shpo\" is not in the catalogue = did you mean \"shop\"?",
        ),
        (
            &format!("{told}\nname = \"{{id}}{{user}}\""),
            "9:8 adopt.name: \"{id}{user}\" has nothing between {user} and what stands before it = write for example \
             \"{app}-{user}\"",
        ),
        (
            &fixed.replace("{id}.", ""),
            "9:13 adopt.host_name: \"{domain}\" is the same for every service = write for example \"{name}.{domain}\"",
        ),
        (
            &format!("{told}\nwere = 1"),
            "9:1 adopt.were: is not a key that is known here = did you mean where?",
        ),
        (
            &told.replace("Owner", ""),
            "8:17 adopt.tags.user: \"\" is not the key of a tag = give 1 to 128 characters, as AWS allows",
        ),
    ] {
        check(&[(&adopt(more), expected)]);
    }
    let only = |only: &str| format!("{}[adopt]\n{told}\n{only}\n", app(""));
    check(&[
        (
            &only(""),
            "6:2 adopt.where: is missing = name a tag that only the other tool's services have, for example where = { \
             ManagedBy = \"old-tool\" }",
        ),
        (
            &only("where = {}"),
            "8:9 adopt.where: is missing = name a tag that only the other tool's services have, for example where = { \
             ManagedBy = \"old-tool\" }",
        ),
        (
            &only("where = { By = 1 }"),
            "8:16 adopt.where.By: is a whole number, not the value of a tag, at most 256 characters = give the value of a \
             tag, at most 256 characters",
        ),
        (
            &only("where = { \"\" = \"x\" }"),
            "8:11 adopt.where.\"\": its name \"\" is not the key of a tag = give 1 to 128 characters, as AWS allows",
        ),
    ]);
}

#[test]
fn all_mistakes_are_reported_at_once_and_in_order() {
    let text = "colour = 1\n[aws]\nregoin = 1\n[intervals]\nsweep = 60\n[policy]\nscope = \"x\"\n\
                [schedules.a]\nteardown = \"x\"\n[apps.b]\nproject = \"p\"\ntasks = 0\n[apps.b.parameters.PATH]\nmax_bytes = 0\n";
    let found = mistakes_of(text);
    let keys: Vec<&str> = found
        .iter()
        .map(|m| m.split(": ").next().expect("has a key"))
        .collect();
    assert_eq!(
        keys,
        [
            "1:1 colour",
            "3:1 aws.regoin",
            "5:9 intervals.sweep",
            "7:9 policy.scope",
            "8:12 schedules.a.time_zone",
            "9:12 schedules.a.teardown",
            "10:7 apps.b.cluster",
            "10:7 apps.b.domain",
            "11:11 apps.b.project",
            "12:9 apps.b.tasks",
            "13:20 apps.b.parameters.PATH",
            "14:13 apps.b.parameters.PATH.max_bytes",
        ]
    );
}
