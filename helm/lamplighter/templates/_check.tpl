{{/* What the schema can't say. Each message names the value, the problem and the way out. */}}
{{- define "lamplighter.check" -}}
{{- if not (trim .Values.config) -}}
{{- fail "config: is empty, and the daemon needs one: give it with --set-file config=lamplighter.toml" -}}
{{- end -}}
{{- $config := fromToml .Values.config -}}
{{- if hasKey $config "Error" -}}
{{- fail (printf "config: is no TOML: %s; check it with `lamplighter config check`" $config.Error) -}}
{{- end -}}
{{- range $name, $text := .Values.configFiles -}}
{{- if eq $name "lamplighter.toml" -}}
{{- fail "configFiles: lamplighter.toml is the name of the configuration itself: give its text as config" -}}
{{- end -}}
{{- if not (regexMatch "^[A-Za-z0-9_][A-Za-z0-9._-]{0,252}$" $name) -}}
{{- fail (printf "configFiles: %q is no name for a file: give letters, digits, full stops, hyphens and underscores, at most 253" $name) -}}
{{- end -}}
{{- end -}}
{{- if not (dig "api" "tokens" list $config) -}}
{{- fail "config: has no [[api.tokens]], and in a cluster the API is open to other machines: add one, as docs/configuration.md shows" -}}
{{- end -}}
{{- $grace := dig "daemon" "shutdown_grace" "25s" $config -}}
{{- $least := add (include "lamplighter.seconds" $grace) .Values.preStopSleepSeconds 5 -}}
{{- if lt (int64 .Values.terminationGracePeriodSeconds) $least -}}
{{- fail (printf "terminationGracePeriodSeconds: %d is too short, Pods would be killed with work in hand: give at least %d, which is preStopSleepSeconds, daemon.shutdown_grace (%s) and 5 more, or shorten these" (int64 .Values.terminationGracePeriodSeconds) $least $grace) -}}
{{- end -}}
{{- $webhook := dig "webhook" dict $config -}}
{{- if and .Values.webhookSecret.name (eq .Values.webhookSecret.as "file") (ne (get $webhook "secret_file" | toString) "/run/secrets/lamplighter/webhook") -}}
{{- fail "webhookSecret: is mounted, but the configuration does not read it: set secret_file = \"/run/secrets/lamplighter/webhook\" in [webhook] of config" -}}
{{- end -}}
{{- if and .Values.webhookSecret.name (eq .Values.webhookSecret.as "env") (ne (get $webhook "secret_env" | toString) "WEBHOOK_SECRET") -}}
{{- fail "webhookSecret: is given as a variable, but the configuration does not read it: set secret_env = \"WEBHOOK_SECRET\" in [webhook] of config" -}}
{{- end -}}
{{- if and (not .Values.webhookSecret.name) (get $webhook "secret_file" | toString | hasPrefix "/run/secrets/lamplighter/") -}}
{{- fail (printf "webhookSecret.name: is empty, but config reads its webhook's secret from %s: name the Secret that holds it" $webhook.secret_file) -}}
{{- end -}}
{{- range $label, $_ := include "lamplighter.selectorLabels" . | fromYaml -}}
{{- if hasKey $.Values.podLabels $label -}}
{{- fail (printf "podLabels: %s is what the chart selects its Pods by: give another key" $label) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.host: is empty, and without it the Ingress would take every host: give the host name of the API" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "podMonitor.enabled: is true, and so is serviceMonitor.enabled, so that everything would be counted twice: enable one of them" -}}
{{- end -}}
{{- if and .Values.serviceAccount.roleArn (not .Values.serviceAccount.create) -}}
{{- fail "serviceAccount.roleArn: has no effect on a ServiceAccount that the chart does not make: annotate that one, or set serviceAccount.create" -}}
{{- end -}}
{{- if and .Values.prometheusRule.enabled (not (.Files.Get "files/alerts/rules.yaml")) -}}
{{- fail "prometheusRule.enabled: is true, but this copy of the chart lacks files/alerts/rules.yaml: take it from a complete checkout, or disable it" -}}
{{- end -}}
{{- if and .Values.dashboards.enabled (not (.Files.Glob "files/dashboards/*.json")) -}}
{{- fail "dashboards.enabled: is true, but this copy of the chart lacks files/dashboards: take it from a complete checkout, or disable it" -}}
{{- end -}}
{{- end -}}
