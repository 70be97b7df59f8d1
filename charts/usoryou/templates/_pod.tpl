{{- /* The pod of a part: { root, part, values, command, env, volumes, mounts, annotations, region, nodeSelector, prepare }. */ -}}
{{- define "usoryou.pod" -}}
{{- $root := .root -}}
{{- $values := .root.Values -}}
{{- $raw := eq (default "none" .values.icmp) "raw" -}}
metadata:
  labels:
    {{- include "usoryou.selector" (dict "root" .root "part" .part) | nindent 4 }}
    {{- with .region }}
    usoryou/region: {{ . | quote }}
    {{- end }}
    {{- with .values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or .values.podAnnotations (eq $values.reload "restart") }}
  annotations:
    {{- if eq $values.reload "restart" }}
    checksum/config: {{ include "usoryou.config" (dict "root" .root "part" .part) | sha256sum }}
    {{- end }}
    {{- with .values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 15
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    runAsNonRoot: {{ not $raw }}
    runAsUser: {{ ternary 0 65532 $raw }}
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: { type: RuntimeDefault }
    {{- if eq (default "none" .values.icmp) "sysctl" }}
    sysctls:
      - { name: net.ipv4.ping_group_range, value: "65532 65532" }
    {{- end }}
  {{- with .prepare }}
  initContainers:
    {{- . | nindent 4 }}
  {{- end }}
  containers:
    - name: usoryou
      image: {{ include "usoryou.image" .root | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args:
        - {{ .command }}
        - --config=/etc/usoryou/probes.yaml
        - --listen=:9797
        - --log-format={{ $values.logFormat }}
        {{- range until (int $values.verbosity) }}
        - -v
        {{- end }}
      env:
        {{- toYaml .env | nindent 8 }}
        {{- range $name, $value := $values.env }}
        - { name: {{ $name }}, value: {{ $value | toString | quote }} }
        {{- end }}
        {{- range $name, $from := $values.secretEnv }}
        - name: {{ $name }}
          valueFrom:
            secretKeyRef: { name: {{ $from.secret }}, key: {{ $from.key }}, optional: {{ default false $from.optional }} }
        {{- end }}
      ports:
        - { name: internal, containerPort: 9797 }
        {{- if .public }}
        - { name: public, containerPort: 9798 }
        {{- end }}
      startupProbe:
        httpGet: { path: /healthz, port: internal }
        periodSeconds: 1
        failureThreshold: 60
      livenessProbe:
        httpGet: { path: /healthz, port: internal }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: internal }
        periodSeconds: 5
        timeoutSeconds: 5
      resources:
        {{- toYaml .values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
          {{- if $raw }}
          add: [NET_RAW]
          {{- end }}
      volumeMounts:
        - { name: config, mountPath: /etc/usoryou, readOnly: true }
        {{- with .mounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- range $name, $from := $values.secretFiles }}
        - { name: secret-{{ $name }}, mountPath: /run/secrets/{{ $name }}, readOnly: true }
        {{- end }}
  volumes:
    - name: config
      configMap: { name: {{ include "usoryou.partname" (dict "root" .root "part" .part) }} }
    {{- with .volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- range $name, $from := $values.secretFiles }}
    - name: secret-{{ $name }}
      secret: { secretName: {{ $from.secret }}, defaultMode: 288 }
    {{- end }}
  {{- with merge (dict) .nodeSelector .values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .spread }}
  topologySpreadConstraints:
    {{- range . }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "usoryou.selector" (dict "root" $root "part" $.part) | nindent 10 }}
    {{- end }}
  {{- end }}
{{- end -}}
