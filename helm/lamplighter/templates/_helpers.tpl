{{- define "lamplighter.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* A Service's name has at most 63 characters, and "-admin" and the like are appended to this one. */}}
{{- define "lamplighter.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "lamplighter.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "lamplighter.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "lamplighter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "lamplighter.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "lamplighter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "lamplighter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: daemon
{{- end -}}

{{- define "lamplighter.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "lamplighter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "lamplighter.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* No right that the daemon does not need, and none that values could give it. */}}
{{- define "lamplighter.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "lamplighter.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end -}}

{{- define "lamplighter.volumes" -}}
- name: config
  configMap:
    name: {{ include "lamplighter.fullname" . }}
{{- if and .Values.webhookSecret.name (eq .Values.webhookSecret.as "file") }}
- name: webhook-secret
  secret:
    secretName: {{ .Values.webhookSecret.name }}
    defaultMode: 0440
    items:
      - key: {{ .Values.webhookSecret.key }}
        path: webhook
{{- end }}
{{- end -}}

{{- define "lamplighter.volumeMounts" -}}
- name: config
  mountPath: /etc/lamplighter
  readOnly: true
{{- if and .Values.webhookSecret.name (eq .Values.webhookSecret.as "file") }}
- name: webhook-secret
  mountPath: /run/secrets/lamplighter
  readOnly: true
{{- end }}
{{- end -}}

{{/* What the configuration may not decide: where the daemon listens. */}}
{{- define "lamplighter.env" -}}
- name: LAMPLIGHTER_CONFIG
  value: /etc/lamplighter/lamplighter.toml
{{- $listen := ternary "[::]" .Values.listenAddress (eq .Values.listenAddress "::") }}
- name: LAMPLIGHTER_PUBLIC_ADDR
  value: {{ printf "%s:8080" $listen | quote }}
- name: LAMPLIGHTER_ADMIN_ADDR
  value: {{ printf "%s:9090" $listen | quote }}
{{- if and .Values.webhookSecret.name (eq .Values.webhookSecret.as "env") }}
- name: WEBHOOK_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ .Values.webhookSecret.name }}
      key: {{ .Values.webhookSecret.key }}
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The seconds of a duration such as "25s" or "1m30s". */}}
{{- define "lamplighter.seconds" -}}
{{- $units := dict "s" 1 "m" 60 "h" 3600 "d" 86400 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+[smhd]" . -1 -}}
{{- $sum = add $sum (mul (regexFind "[0-9]+" . | int64) (get $units (regexFind "[smhd]" .))) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}
